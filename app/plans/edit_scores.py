"""What an edited draft comes to with the customers of today: balance, compactness, violations."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import Conflict
from app.plans.edit_ground import Ground
from app.plans.edit_state import EditState
from app.plans.ground_demand import GroundDemand
from app.plans.places import Places
from app.plans.request import MEASURES, territory_number
from app.plans.violations import DECIMALS
from app.plans.wishes import HOME_PULL
from balancing import Centre, Instance, Parameters, Requirements
from balancing.measures import imbalance
from balancing.scoring import Compactness, compactness
from geo.cells import points_from_cells
from geo.geojson import polygon_from_geojson
from geo.projection import local_equal_area
from geo.resolution import reachable_tolerance

Floats = NDArray[np.float64]
# Imbalances are quotients of sums; a hair above a typed tolerance is not a breach.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Made:
    """What a plan was made from, as far as its scores depend on it."""

    parameters: dict[str, Any]
    manifest: dict[str, Any]
    scores: dict[str, Any]
    components: list[dict[str, Any]]

    @property
    def tolerances(self) -> dict[str, float]:
        """By measure that is balanced, in the order of `MEASURES`."""
        given = self.parameters["tolerances"]
        return {name: given[name] for name in MEASURES if given.get(name) is not None}


@dataclass(frozen=True)
class Rescored:
    """The scores of each territory, of the plan, and its violations and pieces."""

    territories: list[dict[str, Any]]
    plan: dict[str, Any]
    violations: list[dict[str, Any]]
    components: list[dict[str, Any]]


def rescore(state: EditState, ground: Ground, demand: GroundDemand, made: Made) -> Rescored:
    """Return the scores of a state; nothing of them is kept from the state before.

    Raises
    ------
    Conflict
        When the customers of today have no work at all.
    """
    sums = demand.by_territory(state.ordinals, state.codes)
    if sums[:, 0].sum() <= 0 or not demand.activity[:, 0].any():
        raise Conflict("The customers have no work today: there is nothing to balance.")
    shape = _shape(state, ground, demand, made)
    names = list(made.tolerances)
    columns = [MEASURES.index(name) for name in names]
    shares = np.array([[m.share[name] for name in names] for m in state.members])
    targets = shares * sums[:, columns].sum(axis=0)
    off = imbalance(sums[:, columns], targets)
    sizes = np.bincount(state.ordinals, minlength=len(state.members))
    pieces = ground.pieces_of_all(state)
    territories = [
        {
            "n_cells": int(sizes[place]),
            "components": int(pieces[place]),
            "activity": dict(zip(MEASURES, sums[place].tolist(), strict=True)),
            "target": dict(zip(names, targets[place].tolist(), strict=True)),
            "imbalance": dict(zip(names, off[place].tolist(), strict=True)),
            "radius_km": float(shape.radius_m[place]) / 1000,
            # The list of the parameters is by number, and gone when the numbers have changed.
            **({"rep_id": member.rep_id} if _keeps_rep(state, member.rep_id) else {}),
        }
        for place, member in enumerate(state.members)
    ]
    violations = [
        *_off_balance(state, made, off),
        *_beyond_limits(state, made, sums),
        *_too_far(state, made, shape),
        *_torn_groups(state, made),
    ]
    plan = _plan_scores(state, ground, demand, made, shape, sums)
    plan["max_imbalance"] = dict(zip(names, np.abs(off).max(axis=0).tolist(), strict=True))
    plan["is_feasible"] = not violations
    return Rescored(territories, plan, violations, _components(state, ground, made))


def _keeps_rep(state: EditState, rep_id: int | None) -> bool:
    return rep_id is not None and not state.wishes.get("rep_ids")


def _shape(state: EditState, ground: Ground, demand: GroundDemand, made: Made) -> Compactness:
    x_m, y_m = local_equal_area(*points_from_cells(state.cells))
    instance = Instance(ground.graph, x_m, y_m, demand.activity[:, :1], MEASURES[:1])
    parameters = Parameters(
        n_territories=len(state.members),
        tolerances=(1.0,),
        objective=made.parameters.get("objective", "moment_of_inertia"),
        requirements=Requirements(centres=_given_centres(state, made)),
    )
    return compactness(instance, parameters, ground.graph, state.ordinals)


def _given_centres(state: EditState, made: Made) -> tuple[Centre, ...]:
    """Named centres, and homes of reps whose territory has none, as the design counted them."""
    places = {territory_number(code): place for place, code in enumerate(state.codes)}
    wanted = {}
    for wish in state.wishes.get("centres") or []:
        place = places.get(territory_number(wish["territory"]))
        if place is not None:
            wanted[place] = (wish["lon"], wish["lat"], wish.get("pull", 1.0))
    asked = made.manifest.get("parameters", made.parameters).get("homes", "ignore")
    if asked != "ignore":
        homes = {rep["id"]: rep["home"] for rep in made.manifest.get("reps", [])}
        for place, member in enumerate(state.members):
            home = homes.get(member.rep_id)
            if home is not None:
                pull = HOME_PULL if asked == "preferred" else 1.0
                wanted.setdefault(place, (*home, pull))
    if not wanted:
        return ()
    lon, lat, pulls = zip(*wanted.values(), strict=True)
    x_m, y_m = local_equal_area(lon, lat, Places(state.cells).middle)
    return tuple(
        Centre(place, float(x), float(y), pull)
        for place, x, y, pull in zip(wanted, x_m, y_m, pulls, strict=True)
    )


def _plan_scores(
    state: EditState,
    ground: Ground,
    demand: GroundDemand,
    made: Made,
    shape: Compactness,
    sums: Floats,
) -> dict[str, Any]:
    k = len(state.members)
    work = float(sums[:, 0].sum())
    heaviest = float(demand.activity[:, 0].max() * k / work)
    used = {
        number
        for pair, number in zip(ground.links.bridges, ground.links.bridge_numbers, strict=True)
        if state.ordinals[pair[0]] == state.ordinals[pair[1]]
    }
    objective = made.parameters.get("objective", "moment_of_inertia")
    scores = {
        **made.scores,
        "moment_of_inertia": float(shape.moment_of_inertia.sum()),
        "cut_edges": shape.cut_edges,
        "objective": {"name": objective, "value": shape.objective_value},
        "sizing": _sizing(made, k, work),
        "heaviest_cell_share_of_target": heaviest,
        "reachable_tolerance": reachable_tolerance(heaviest),
        "bridges": [
            {"name": bridge["name"], "is_used": number in used}
            for number, bridge in enumerate(made.parameters.get("bridges") or [])
        ],
    }
    if "splitting" in scores:
        scores["splitting"] = {
            **scores["splitting"], "heaviest_unit_share_of_target": heaviest
        }  # fmt: skip
    return scores


def _sizing(made: Made, k: int, work: float) -> dict[str, Any]:
    """How many territories there are, and what they can do where that is known."""
    sizing = made.scores.get("sizing") or {}
    capacity = sizing.get("capacity_minutes")
    if k != sizing.get("n_territories", k):
        each = made.manifest.get("parameters", {}).get("capacity_minutes")
        sizing, capacity = {"decided_by": "edit"}, each and each * k
    return {
        **sizing,
        "n_territories": k,
        "work_minutes": work,
        "capacity_minutes": capacity,
        "utilisation": work / capacity if capacity else None,
    }


def _components(state: EditState, ground: Ground, made: Made) -> list[dict[str, Any]]:
    """The pieces of the region, each with the territories that lie in it now."""
    labels = ground.pieces(np.arange(len(state.cells), dtype=np.int32))
    places, found = Places(state.cells), []
    for piece in made.components:
        unit = None if piece["left_out"] else places.of_point(*piece["place"])
        if unit is not None:
            inside = len(np.unique(state.ordinals[labels == labels[unit]]))
            piece = {**piece, "n_territories": inside}
        found.append(piece)
    return found


def _off_balance(state: EditState, made: Made, off: Floats) -> list[dict[str, Any]]:
    found = []
    for column, (name, tolerance) in enumerate(made.tolerances.items()):
        size = np.abs(off[:, column])
        worst = int(np.argmax(size))
        if size[worst] <= tolerance + ROUNDING:
            continue
        n_off = int(np.count_nonzero(size > tolerance + ROUNDING))
        code = state.codes[worst]
        found.append(
            {
                "code": "tolerance_not_met",
                "message": f"{n_off} territories miss the tolerance of {tolerance:.2%} on {name}; "
                f"{code} is off by {off[worst, column]:+.2%}",
                "facts": {
                    "measure": name, "tolerance": tolerance, "worst_imbalance": float(size[worst]),
                    "territory": code, "n_territories": n_off,
                },
                "relaxation": _tolerance(name, float(size[worst])),
            }
        )  # fmt: skip
    return found


def _tolerance(name: str, reached: float) -> dict[str, Any]:
    value = math.ceil(reached * 10**DECIMALS) / 10**DECIMALS
    if value <= 1:
        return {"field": f"/tolerances/{name}", "value": value}
    # Not to be had by any tolerance; other measures than work need not be balanced.
    return {} if name == MEASURES[0] else {"field": f"/tolerances/{name}", "value": None}


def _beyond_limits(state: EditState, made: Made, sums: Floats) -> list[dict[str, Any]]:
    found = []
    for name, limit in (made.parameters.get("limits") or {}).items():
        column = sums[:, MEASURES.index(name)]
        for end, sign in (("min", 1.0), ("max", -1.0)):
            if limit.get(end) is None:
                continue
            short = sign * (limit[end] - column)
            worst = int(np.argmax(short))
            if short[worst] <= ROUNDING * max(limit[end], 1.0):
                continue
            reached, code = float(column[worst]), state.codes[worst]
            word = "least" if end == "min" else "most"
            found.append(
                {
                    "code": "limit_not_met",
                    "message": f"{code} has {reached:g} {name}; at {word} {limit[end]:g} are asked",
                    "facts": {
                        "measure": name, "field": f"/limits/{name}/{end}", "limit": limit[end],
                        "territory": code, "reached": reached,
                    },
                    "relaxation": {"field": f"/limits/{name}/{end}", "value": reached},
                }
            )  # fmt: skip
    return found


def _too_far(state: EditState, made: Made, shape: Compactness) -> list[dict[str, Any]]:
    limit_km = made.parameters.get("max_radius_km")
    if limit_km is None:
        return []
    radius_km = shape.radius_m / 1000
    worst = int(np.argmax(radius_km))
    if radius_km[worst] <= limit_km * (1 + ROUNDING):
        return []
    n_over = int(np.count_nonzero(radius_km > limit_km))
    reached, code = float(radius_km[worst]), state.codes[worst]
    return [
        {
            "code": "radius_exceeded",
            "message": f"{n_over} territories reach farther than {limit_km:g} km from their "
            f"centre; {code} reaches {reached:.1f} km",
            "facts": {"territory": code, "radius_km": reached, "limit_km": limit_km,
                      "n_territories": n_over},
            "relaxation": {"field": "/max_radius_km",
                           "value": math.ceil(reached * 10**DECIMALS) / 10**DECIMALS},
        }
    ]  # fmt: skip


def _torn_groups(state: EditState, made: Made) -> list[dict[str, Any]]:
    """Groups that were to be together in one territory and are not."""
    places, found = Places(state.cells), []
    for index, group in enumerate(made.parameters.get("keep_together") or []):
        if group.get("cells"):
            units = places.of_cells(group["cells"])[0]
        else:
            (units,) = places.in_areas([polygon_from_geojson(group["area"])])
        codes = sorted({state.codes[place] for place in state.ordinals[units].tolist()})
        if len(codes) > 1:
            pointer = f"/keep_together/{index}"
            found.append(
                {
                    "code": "group_torn",
                    "message": f"{pointer} lies in {', '.join(codes)}",
                    "facts": {"group": pointer, "n_territories": len(codes)},
                    "relaxation": {"field": pointer, "action": "leave out"},
                }
            )
    return found
