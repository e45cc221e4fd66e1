"""Which tilesets there are, what may be asked of each, and what each is drawn from."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Query, Request

from app import __version__
from app.auth import Caller
from app.db.customer_filter import CustomerFilter
from app.db.generation import HEAT_DAY, PLANNING
from app.db.heat_sums import Measure
from app.errors import Fault, NotFound, UnknownParameter
from app.http.values import Label, ServiceClass
from app.tiles.plans import ShownPlan
from app.tiles.schemas import CELLS, CUSTOMERS, GEOFENCES, HEAT, TERRITORIES, VectorLayer

PLAN = frozenset({"plan_id", "layer_id"})
HEAT_FILTERS = frozenset(
    {"class", "segment", "status", "tag", "not_visited_days", "territory_id", "rep_id"}
)


@dataclass(frozen=True, slots=True)
class Tileset:
    """A kind of tiles: its layer, its finest zoom, its parameters, the data it is drawn from."""

    layer: VectorLayer
    title: str
    maxzoom: int
    takes: frozenset[str]
    subjects: tuple[str, ...]


TILESETS = {
    "customers": Tileset(
        CUSTOMERS, "Customers", 18, PLAN, ("customer", "activity_cell", *PLANNING)
    ),
    "heat": Tileset(
        HEAT, "Heat", 14, frozenset({"measure", *HEAT_FILTERS}),
        ("customer", "activity_cell", HEAT_DAY, *PLANNING),
    ),
    "cells": Tileset(CELLS, "Cells", 14, PLAN | {"v"}, ("activity_cell", *PLANNING)),
    "territories": Tileset(TERRITORIES, "Territories", 14, PLAN | {"v"}, PLANNING),
    "geofences": Tileset(GEOFENCES, "Geofences", 16, frozenset(), ("geofence",)),
}  # fmt: skip

PlanId = Annotated[
    int | None,
    Query(ge=1, lt=2**63, description="Drafts too; by default the plan in force of the layer"),
]
LayerId = Annotated[
    int | None,
    Query(ge=1, lt=2**63, description="By default the first layer with a plan in force"),
]
VERSION = Query(
    max_length=64,
    description="Version of the plan that the TileJSON gives: such tiles never change",
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the query of a tile says."""

    plan_id: int | None
    layer_id: int | None
    v: str | None
    measure: Measure
    customers: CustomerFilter

    @property
    def has_own_tag(self) -> bool:
        """Whether a tile is to be tagged by what it holds, for no generation tells of its changes.

        A visit is so many days ago at the hour of the visit, and a territory that nobody could name
        yet comes into being without a new generation.
        """
        wanted = self.customers
        return wanted.not_visited_days is not None or wanted.territory_id is not None


async def filter_of(
    class_: Annotated[list[ServiceClass], Query(alias="class", description="Heat only")] = [],  # noqa: B006
    segment: Annotated[list[Label], Query(max_length=50, description="Heat only")] = [],  # noqa: B006
    status: Annotated[list[Literal["lead", "active"]], Query(description="Heat only")] = [],  # noqa: B006
    tag: Annotated[list[Label], Query(max_length=50, description="Heat only; all of these")] = [],  # noqa: B006
    not_visited_days: Annotated[int | None, Query(ge=0, le=36_500, description="Heat only")] = None,
    territory_id: Annotated[int | None, Query(ge=1, lt=2**63, description="Heat only")] = None,
    rep_id: Annotated[
        int | None,
        Query(ge=1, lt=2**63, description="Heat only; of the rep's territories in force"),
    ] = None,
) -> CustomerFilter:
    """Read which customers count in a tile of heat, as `/v1/heatmap` takes it."""
    return CustomerFilter(
        classes=tuple(class_),
        segments=tuple(segment),
        statuses=tuple(status),
        tags=tuple(tag),
        not_visited_days=not_visited_days,
        territory_id=territory_id,
        rep_id=rep_id,
    )


async def asked_of(
    customers: Annotated[CustomerFilter, Depends(filter_of)],
    plan_id: PlanId = None,
    layer_id: LayerId = None,
    v: Annotated[str | None, VERSION] = None,
    measure: Annotated[Measure, Query(description="Heat only")] = "customers",
) -> Asked:
    """Return what the query of a tile says."""
    return Asked(plan_id, layer_id, v, measure, customers)


def find_tileset(name: str, request: Request) -> Tileset:
    """Return a tileset, if it takes all that the query names.

    Raises
    ------
    NotFound
        When there is no such tileset.
    UnknownParameter
        When a parameter belongs to another one.
    """
    if name not in TILESETS:
        raise NotFound(f"There is no tileset {name[:100]!r}.")
    tileset = TILESETS[name]
    strange = sorted(set(request.query_params) - tileset.takes)
    if strange:
        faults = [
            Fault("unknown-parameter", f"not a parameter of {name}", f"/query/{word}")
            for word in strange
        ]
        raise UnknownParameter(f"Not a parameter of {name}: {', '.join(strange)}.", faults)
    return tileset


def version_of(name: str, plan: ShownPlan, caller: Caller) -> str | None:
    """Return the version for the addresses of tiles that stay what they are, if these do.

    A draft may still change; what a limited caller sees changes with its territories.
    """
    if "v" not in TILESETS[name].takes or plan.is_draft or not caller.scope.is_unlimited:
        return None
    # After a restore another plan may be given an id that was seen before.
    made = (plan.id, plan.version, plan.made_at.isoformat())
    # What is not told to everybody has an address that not everybody is given.
    facts = (__version__, name, made, caller.sees_detail)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
