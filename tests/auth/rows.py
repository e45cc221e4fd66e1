"""The authorisation matrix: for each operation of the API who may call it, and what is shown.

`own`, `foreign` and `missing` stand for the object in the address. A role that may not call an
operation gets 403 whatever the object; one that may, but whose scope ends before the object, gets
the 404 of a missing one.
"""

from dataclasses import dataclass
from typing import Any

ALL = frozenset({"admin", "planner", "manager", "rep", "viewer"})
UNLIMITED = frozenset({"admin", "planner", "viewer"})
PLANNERS = frozenset({"admin", "planner"})
ADMINS = frozenset({"admin"})
# Whoever may see single customers.
DETAIL = ALL - {"viewer"}
LIMITED = ALL - UNLIMITED

# Operations for everybody: they tell nothing of what the service holds.
OPEN = frozenset({"livez", "readyz", "version"})

AREA = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
EAST_ASIA = {
    "type": "Polygon",
    "coordinates": [[[110, 25], [130, 25], [130, 45], [110, 45], [110, 25]]],
}
REP = {"name": "X"}
NO_MOVE = {"moves": [{"cells": ["870800000ffffff"], "to": "T01"}]}
PLACE = {"name": "N", "lon": 121.0, "lat": 31.0}
# The outlines of `tests.ground` are a metre wide, at the origin of the map.
TILE = "22/2097152/2097151"


@dataclass(frozen=True)
class Row:
    """One operation.

    `statuses` are what a caller who may see the object gets; `hides` says that limited callers get
    404 for another's object, `unseen` that they get it for their own as well (totals of all
    customers). `shows` lists words that the answer must hold for one's own and must not for
    another's.
    """

    roles: frozenset[str]
    address: str
    method: str = "GET"
    body: Any = None
    form: dict[str, Any] | None = None
    statuses: frozenset[int] = frozenset({200})
    hides: bool = False
    unseen: bool = False
    shows: bool = False
    missing: int = 404

    @property
    def has_object(self) -> bool:
        """Whether the address names one object."""
        return "{" in self.address

    @property
    def changes(self) -> bool:
        """Whether a call changes anything."""
        is_question = "at:batch" in self.address or "/search/" in self.address
        return self.method != "GET" and not is_question


def _writes(roles: frozenset[str], method: str, address: str, *statuses: int, **more: Any) -> Row:
    return Row(roles, address, method, statuses=frozenset(statuses), **more)


MATRIX: dict[str, Row] = {
    # Customers
    "list_customers": Row(DETAIL, "/v1/customers", shows=True),
    "create_customer": _writes(
        PLANNERS, "POST", "/v1/customers", 201, body={**PLACE, "external_id": "NEW"}
    ),
    "get_customer": Row(DETAIL, "/v1/customers/{customer_id}", hides=True),
    "get_customer_territories": Row(
        DETAIL, "/v1/customers/{customer_id}/territories", hides=True
    ),
    "change_customer": _writes(
        PLANNERS, "PATCH", "/v1/customers/{customer_id}", 200, body={"class": "A"}
    ),
    "delete_customer": _writes(PLANNERS, "DELETE", "/v1/customers/{customer_id}", 204),
    "upsert_customer": _writes(
        PLANNERS, "PUT", "/v1/customers/by-external-id/{external_id}", 200, body=PLACE, missing=412
    ),
    "get_personal_data": Row(PLANNERS, "/v1/customers/{customer_id}/personal-data"),
    "erase_personal_data": _writes(ADMINS, "POST", "/v1/customers/{customer_id}:erase", 200),
    "create_import": _writes(
        PLANNERS, "POST", "/v1/imports", 202,
        form={"data": {"kind": "customers"}, "files": {"file": ("c.csv", b"external_id\n1\n")}},
    ),
    "list_import_errors": Row(PLANNERS, "/v1/imports/{run_id}/errors"),
    # Search, heat, tiles
    "search_radius": Row(DETAIL, "/v1/search/radius?lon=116.4&lat=39.9&radius_m=1000"),
    "search_nearest": Row(DETAIL, "/v1/search/nearest?lon=116.4&lat=39.9&k=10", shows=True),
    "search_polygon": Row(
        DETAIL, "/v1/search/polygon", "POST", shows=True, body={"geometry": EAST_ASIA}
    ),
    "search_polygon_many": Row(
        DETAIL, "/v1/search/polygon:batch", "POST", shows=True, body={"areas": [AREA, EAST_ASIA]}
    ),
    "search_radius_many": Row(
        DETAIL, "/v1/search/radius:batch", "POST", shows=True,
        body={"points": [{"lon": 121.47, "lat": 31.23}, {"lon": 116.4, "lat": 39.9}],
              "radius_m": 1000},
    ),
    "search_nearest_many": Row(
        DETAIL, "/v1/search/nearest:batch", "POST", shows=True,
        body={"points": [{"lon": 121.47, "lat": 31.23}]},
    ),
    "get_heatmap": Row(ALL, "/v1/heatmap?resolution=3&format=cells"),
    "get_tileset": Row(ALL, "/v1/tiles/territories.json"),
    "get_tile": Row(ALL, f"/v1/tiles/territories/{TILE}.mvt", shows=True),
    "get_style": Row(ALL, "/v1/tiles/style.json"),
    "make_plan_pmtiles": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:pmtiles", 202, 409),
    "get_plan_pmtiles": Row(ALL, "/v1/plans/{plan_id}/tiles.pmtiles", unseen=True),
    "find_territories_at": Row(ALL, "/v1/territories/at?lon=116.4&lat=39.9"),
    "find_territories_at_many": Row(
        ALL, "/v1/territories/at:batch", "POST", shows=True,
        body={"points": [{"lon": 121.47, "lat": 31.23}, {"lon": 116.4, "lat": 39.9}]},
    ),
    # Customers in no territory are in nobody's scope.
    "list_white_space": Row(DETAIL, "/v1/territories/white-space?layer={layer_id}"),
    "count_white_space": Row(ALL, "/v1/territories/white-space/count?layer={layer_id}"),
    # Layers and plans
    "list_layers": Row(ALL, "/v1/layers"),
    "create_layer": _writes(PLANNERS, "POST", "/v1/layers", 201, body={"name": "new"}),
    "get_layer": Row(ALL, "/v1/layers/{layer_id}"),
    "list_named_accounts": Row(PLANNERS, "/v1/layers/{layer_id}/named-accounts"),
    "put_named_account": _writes(
        PLANNERS, "PUT", "/v1/layers/{layer_id}/named-accounts/{customer_id}", 200, 201,
        body={"territory": "T01", "reason": "why"},
    ),
    "delete_named_account": _writes(
        PLANNERS, "DELETE", "/v1/layers/{layer_id}/named-accounts/{customer_id}", 204, 404
    ),
    "list_plans": Row(ALL, "/v1/plans"),
    "design_plan": _writes(
        PLANNERS, "POST", "/v1/plans", 202, body={"layer_id": 1, "n_territories": 2}
    ),
    "get_plan": Row(ALL, "/v1/plans/{plan_id}", hides=True),
    "get_plan_territories": Row(ALL, "/v1/plans/{plan_id}/territories", hides=True),
    "get_plan_cells": Row(ALL, "/v1/plans/{plan_id}/cells", hides=True),
    "get_plan_manifest": Row(ALL, "/v1/plans/{plan_id}/manifest", unseen=True),
    "get_plan_certificate": Row(DETAIL, "/v1/plans/{plan_id}/certificate", unseen=True),
    "get_plan_diff": Row(DETAIL, "/v1/plans/{plan_id}/diff/{other_id}", unseen=True),
    "get_plan_front": Row(DETAIL, "/v1/plans/{plan_id}/front", unseen=True),
    # Another's plan is a draft: there is no drift of what was never in force.
    "get_plan_drift": Row(PLANNERS, "/v1/plans/{plan_id}/drift", statuses=frozenset({200, 409})),
    "make_plan_front": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:front", 202, 409, 422),
    "rebalance_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:rebalance", 202, 409),
    "list_plan_rebalances": Row(DETAIL, "/v1/plans/{plan_id}/rebalances", unseen=True),
    "get_rebalance": Row(DETAIL, "/v1/rebalances/{rebalance_id}", unseen=True),
    "list_plan_moves": Row(DETAIL, "/v1/plans/{plan_id}/moves", unseen=True),
    "list_moved_customers": Row(
        DETAIL, "/v1/plans/{plan_id}/moves/{position}/customers", unseen=True
    ),
    "verify_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:verify", 202),
    "make_plan_report": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:report", 202),
    # It names reps and tells of few customers.
    "get_plan_report_html": Row(PLANNERS, "/v1/plans/{plan_id}/report.html"),
    "get_plan_report_pdf": Row(PLANNERS, "/v1/plans/{plan_id}/report.pdf"),
    "get_plan_report_png": Row(PLANNERS, "/v1/plans/{plan_id}/report.png"),
    "suppose_changes": _writes(
        PLANNERS, "POST", "/v1/plans/{plan_id}:what-if", 202, 409, 422,
        body={"changes": [{"kind": "territory_added"}]},
    ),
    # One's own plan is in force already, and nothing is still to begin.
    "publish_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:publish", 201, 409),
    "withdraw_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:withdraw", 204, 409),
    # Reports of nights are about all customers.
    "create_schedule": _writes(
        PLANNERS, "POST", "/v1/schedules", 201,
        body={"layer_id": 1, "name": "new", "timezone": "UTC"},
    ),
    "list_schedules": Row(PLANNERS, "/v1/schedules"),
    "get_schedule": Row(PLANNERS, "/v1/schedules/{schedule_id}"),
    "change_schedule": _writes(
        PLANNERS, "PATCH", "/v1/schedules/{schedule_id}", 200, body={"enabled": False}
    ),
    "delete_schedule": _writes(PLANNERS, "DELETE", "/v1/schedules/{schedule_id}", 204),
    "run_schedule": _writes(PLANNERS, "POST", "/v1/schedules/{schedule_id}:run", 202, 409),
    "get_next_due": Row(PLANNERS, "/v1/schedules/{schedule_id}/next"),
    "list_nights": Row(PLANNERS, "/v1/schedules/{schedule_id}/nights"),
    "get_night": Row(PLANNERS, "/v1/schedules/{schedule_id}/nights/{local_date}"),
    "get_night_page": Row(
        PLANNERS, "/v1/schedules/{schedule_id}/nights/{local_date}/report.html",
    ),
    # Policies name no customer; alerts are about territories.
    "list_policies": Row(ALL, "/v1/policies"),
    "create_policy": _writes(
        PLANNERS, "POST", "/v1/policies", 201, body={"kind": "vacancy", "name": "new"}
    ),
    "evaluate_policies": _writes(
        PLANNERS, "POST", "/v1/policies:evaluate", 200, body={"layer_id": 1}
    ),
    "get_policy": Row(ALL, "/v1/policies/{policy_id}"),
    "list_policy_versions": Row(ALL, "/v1/policies/{policy_id}/versions"),
    "change_policy": _writes(
        PLANNERS, "PATCH", "/v1/policies/{policy_id}", 200, body={"name": "new"}
    ),
    "archive_policy": _writes(PLANNERS, "DELETE", "/v1/policies/{policy_id}", 204),
    "backtest_policy": _writes(
        PLANNERS, "POST", "/v1/policies/{policy_id}:backtest", 200,
        body={"from": "2026-01-01", "to": "2026-03-31"},
    ),
    "list_alerts": Row(ALL, "/v1/alerts", shows=True),
    "get_alert": Row(ALL, "/v1/alerts/{alert_id}", hides=True),
    "acknowledge_alert": _writes(
        PLANNERS, "POST", "/v1/alerts/{alert_id}:acknowledge", 200, body={"note": "seen"}
    ),
    # One's own plan is in force, another's is a draft.
    "propose_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:propose", 200, 409),
    "approve_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:approve", 409),
    "reject_plan": _writes(
        PLANNERS, "POST", "/v1/plans/{plan_id}:reject", 409, body={"reason": "no"}
    ),
    "archive_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:archive", 200, 409),
    "roll_back_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:rollback", 409),
    "copy_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:copy", 201),
    # Of a draft as small as these no cell can move, and there is no edit to undo.
    "move_plan_cells": _writes(
        PLANNERS, "PATCH", "/v1/plans/{plan_id}/cells", 409, 422, body=NO_MOVE
    ),
    "merge_territories": _writes(
        PLANNERS, "POST", "/v1/plans/{plan_id}:merge", 409,
        body={"territories": ["T01", "T02"], "into": "T01"},
    ),
    "split_territory": _writes(
        PLANNERS, "POST", "/v1/plans/{plan_id}:split", 409, 422, body={"territory": "T01"}
    ),
    "lock_in_plan": _writes(
        PLANNERS, "POST", "/v1/plans/{plan_id}:lock", 200, 409, body={"territories": ["T01"]}
    ),
    "unlock_in_plan": _writes(
        PLANNERS, "POST", "/v1/plans/{plan_id}:unlock", 200, 409, body={"territories": ["T01"]}
    ),
    "undo_edit": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:undo", 409),
    "redo_edit": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:redo", 409),
    "refresh_plan": _writes(PLANNERS, "POST", "/v1/plans/{plan_id}:refresh", 200, 409),
    "list_plan_events": Row(DETAIL, "/v1/plans/{plan_id}/events", unseen=True),
    "list_plan_comments": Row(DETAIL, "/v1/plans/{plan_id}/comments", unseen=True),
    "add_plan_comment": _writes(
        PLANNERS, "POST", "/v1/plans/{plan_id}/comments", 201, body={"text": "why"}
    ),
    # What is said of the plans was said by somebody else.
    "delete_plan_comment": _writes(
        PLANNERS, "DELETE", "/v1/plans/{plan_id}/comments/{comment_id}", 403
    ),
    # Geofences are ground, not customers: everybody sees all.
    "list_geofences": Row(ALL, "/v1/geofences"),
    "create_geofence": _writes(
        PLANNERS, "POST", "/v1/geofences", 201, body={"name": "new", "geometry": AREA}
    ),
    "get_geofence": Row(ALL, "/v1/geofences/{geofence_id}"),
    "find_geofences_at": Row(ALL, "/v1/geofences/at?lon=0.5&lat=0.2"),
    "find_geofences_at_many": Row(
        ALL, "/v1/geofences/at:batch", "POST", body={"points": [{"lon": 0.5, "lat": 0.2}]}
    ),
    "import_geofence_collection": _writes(
        PLANNERS, "POST", "/v1/geofences:import", 200,
        body={
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {"name": "new"}, "geometry": AREA}],
        },
    ),
    "create_service_circles": _writes(
        PLANNERS, "POST", "/v1/geofences:service-circles", 201,
        body={"group": "new", "radius_m": 1000, "anchors": [{"name": "a", "lon": 1, "lat": 1}]},
    ),
    "create_catchments": _writes(
        PLANNERS, "POST", "/v1/geofences:catchments", 201,
        body={
            "group": "new", "max_distance_m": 9000, "anchors": [{"name": "a", "lon": 1, "lat": 1}],
        },
    ),
    "get_geofence_coverage": Row(
        ALL, "/v1/geofences/coverage?group=none", statuses=frozenset({404})
    ),
    "list_geofence_customers": Row(DETAIL, "/v1/geofences/{geofence_id}/customers"),
    "change_geofence": _writes(
        PLANNERS, "PATCH", "/v1/geofences/{geofence_id}", 200, body={"name": "new"}
    ),
    "delete_geofence": _writes(PLANNERS, "DELETE", "/v1/geofences/{geofence_id}", 204),
    # Nothing of this world is in a group.
    "delete_geofence_group": _writes(PLANNERS, "DELETE", "/v1/geofences?group=none", 404),
    # People
    "list_reps": Row(ALL, "/v1/reps", shows=True),
    "create_rep": _writes(PLANNERS, "POST", "/v1/reps", 201, body=REP | {"external_id": "X"}),
    "get_rep": Row(ALL, "/v1/reps/{rep_id}", hides=True),
    "upsert_rep": _writes(
        PLANNERS, "PUT", "/v1/reps/by-external-id/{external_id}", 200, body=REP, missing=201
    ),
    "change_rep": _writes(PLANNERS, "PATCH", "/v1/reps/{rep_id}", 200, body={"fte": 0.5}),
    # Who has a territory cannot be deleted.
    "delete_rep": _writes(PLANNERS, "DELETE", "/v1/reps/{rep_id}", 409),
    # Runs
    "list_runs": Row(PLANNERS, "/v1/runs"),
    "get_run": Row(PLANNERS, "/v1/runs/{run_id}"),
    "follow_run": Row(PLANNERS, "/v1/runs/{run_id}/events"),
    "cancel_run": _writes(PLANNERS, "POST", "/v1/runs/{run_id}:cancel", 409),
    # Gauges count all customers. The key of the matrix has every scope.
    "get_metrics": Row(UNLIMITED, "/metrics"),
    # Access
    "list_api_keys": Row(ADMINS, "/v1/api-keys"),
    "create_api_key": _writes(
        ADMINS, "POST", "/v1/api-keys", 201, body={"name": "k", "role": "viewer"}
    ),
    "get_api_key": Row(ADMINS, "/v1/api-keys/{prefix}"),
    "rotate_api_key": _writes(ADMINS, "POST", "/v1/api-keys/{prefix}:rotate", 201),
    "revoke_api_key": _writes(ADMINS, "DELETE", "/v1/api-keys/{prefix}", 204),
    "list_audit_events": Row(ADMINS, "/v1/audit"),
}  # fmt: skip
