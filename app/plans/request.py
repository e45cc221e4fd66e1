"""What can be asked of a plan."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field

from app.http.values import Amount, Label, Latitude, Longitude, Name, RowId, StrictModel

# What a plan carries; the first is always balanced, the others where a tolerance is given.
MEASURES = ("work_minutes", "customers", "potential", "revenue")

MOST_TERRITORIES = 5000
MOST_CELLS = 10_000
MOST_GROUPS = 1000
MOST_BARRIERS = 200
MOST_BORDERS = 2000
MOST_BRIDGES = 1000

# Below a thousandth the search would only burn time: cells are never that even.
Tolerance = Annotated[float, Field(ge=0.001, le=1, allow_inf_nan=False)]
Weight = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Pull = Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
Position = tuple[Longitude, Latitude]
Code = Annotated[
    str,
    Field(
        pattern=r"^T\d{1,5}$",
        examples=["T01"],
        description="Code of a territory of this plan: T01 is the first. Where a request names "
        "territories they keep their numbers; otherwise codes follow the map from the north-west.",
    ),
]
CellIds = Annotated[
    list[Annotated[str, Field(pattern=r"^[0-9a-f]{15,16}$")]],
    Field(
        min_length=1,
        max_length=MOST_CELLS,
        examples=[["862830807ffffff"]],
        description="H3 cells of any resolution: a coarser cell than the plan's stands for all "
        "of the plan's cells inside it, a finer one for the cell that holds it. Cells outside "
        "of the plan are left out, which the plan reports as `cells_outside`.",
    ),
]
Shares = Annotated[
    list[Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]],
    Field(min_length=1, max_length=MOST_TERRITORIES),
]
RepIds = Annotated[list[RowId], Field(min_length=1, max_length=MOST_TERRITORIES)]
Geometry = Annotated[dict[str, Any], Field(description="GeoJSON, at most 50,000 vertices")]


class Tolerances(StrictModel):
    """The imbalance allowed per measure, as a fraction of the target; null: only reported."""

    work_minutes: Tolerance = 0.05
    customers: Tolerance | None = 0.15
    potential: Tolerance | None = None
    revenue: Tolerance | None = None


class Weights(StrictModel):
    """How dearly a breach of each tolerance is held against a plan, where not all can hold."""

    work_minutes: Weight = 1.0
    customers: Weight = 1.0
    potential: Weight = 1.0
    revenue: Weight = 1.0


class Limit(StrictModel):
    """What every territory must have at least and may have at most."""

    min: Amount | None = None
    max: Amount | None = None


class Limits(StrictModel):
    """Hard limits per measure, in its own unit; they count before the tolerances."""

    work_minutes: Limit = Limit()
    customers: Limit = Limit()
    potential: Limit = Limit()
    revenue: Limit = Limit()


class CentreWish(StrictModel):
    """Where a territory's centre is to be (pull 1), or is drawn to."""

    territory: Code
    lon: Longitude
    lat: Latitude
    pull: Pull = 1.0


class Lock(StrictModel):
    """Cells that must be in a territory."""

    territory: Code
    cells: CellIds


class LockedTerritories(StrictModel):
    """Territories taken over from another plan as they are, cell by cell, with their codes."""

    plan_id: RowId
    codes: Annotated[list[Code], Field(min_length=1, max_length=MOST_TERRITORIES)]


class Group(StrictModel):
    """What must be together in one territory: cells, or an area; one of the two."""

    cells: CellIds | None = None
    area: Geometry | None = Field(
        default=None, description="GeoJSON polygon; cells with their centre in it are meant"
    )


class Barrier(StrictModel):
    """A line, or the border of a polygon, that no territory reaches across."""

    geometry: Geometry
    name: Label = ""


class Discouragement(StrictModel):
    """A line or the border of a polygon that territories should not reach across."""

    geometry: Geometry
    strength: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = Field(
        default=1.0,
        description="What each pair of cells kept together across it costs, in prices of a link "
        "between two territories; above 1 territories rather end there than anywhere else",
    )
    name: Label = ""


class Bridge(StrictModel):
    """A ferry or tunnel that you approve: the cells at its two ends count as touching."""

    name: Name
    # `from` is a word of Python.
    from_: Annotated[Position, Field(alias="from", description="lon, lat")]
    to: Annotated[Position, Field(description="lon, lat")]


class PlanRequest(StrictModel):
    """A plan to design.

    One of `n_territories`, `capacity_minutes`, `shares` and `rep_ids` says how many territories
    there are; `n_territories` may stand beside `shares` or `rep_ids` when it agrees.
    """

    model_config = {
        "json_schema_extra": {
            "examples": [
                {"layer_id": 1, "n_territories": 24, "name": "Spring plan"},
                {"layer_id": 1, "capacity_minutes": 84480, "objective": "total_distance"},
                {
                    "layer_id": 1,
                    "rep_ids": [1, 2, 3],
                    "homes": "preferred",
                    "tolerances": {"work_minutes": 0.05, "customers": None, "potential": 0.2},
                    "bridges": [{"name": "ferry", "from": [121.5, 31.4], "to": [121.6, 31.6]}],
                },
            ]
        }
    }

    layer_id: RowId
    n_territories: Annotated[int, Field(ge=1, le=MOST_TERRITORIES)] | None = None
    capacity_minutes: Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)] | None = Field(
        default=None,
        description="Work one territory can carry; there are as many as the work needs",
    )
    shares: Shares | None = Field(
        default=None, description="Wanted part of the work of territory T01, T02, …; sum 1"
    )
    rep_ids: RepIds | None = Field(
        default=None,
        description="Territory T01, T02, … is for this rep, its share that of the rep's capacity "
        "among all of them; publishing with `assign_reps` assigns it",
    )
    name: Name | None = None
    tolerances: Tolerances = Tolerances()
    weights: Weights = Weights()
    limits: Limits = Limits()
    objective: Literal["moment_of_inertia", "total_distance", "cut_edges"] = Field(
        default="moment_of_inertia", description="What is made small inside the tolerances"
    )
    homes: Literal["ignore", "preferred", "fixed"] = Field(
        default="ignore", description="What the homes of the reps of `rep_ids` are as centres"
    )
    lock_homes: bool = Field(
        default=False, description="Whether a rep's home cell must be in the rep's territory"
    )
    centres: Annotated[list[CentreWish], Field(max_length=MOST_TERRITORIES)] = []
    locks: Annotated[list[Lock], Field(max_length=MOST_TERRITORIES)] = []
    locked_territories: LockedTerritories | None = None
    keep_together: Annotated[list[Group], Field(max_length=MOST_GROUPS)] = []
    barriers: Annotated[list[Barrier], Field(max_length=MOST_BARRIERS)] = []
    discouraged: Annotated[list[Discouragement], Field(max_length=MOST_BORDERS)] = []
    bridges: Annotated[list[Bridge], Field(max_length=MOST_BRIDGES)] = []
    max_radius_km: Annotated[float, Field(gt=0, le=20_000, allow_inf_nan=False)] | None = Field(
        default=None,
        description="No customer lies farther from its territory's centre than this",
    )
    split_heavy_cells: bool = Field(
        default=True,
        description="Whether cells too heavy to be balanced give way to their children",
    )
    resolution: Annotated[int, Field(ge=0, le=12)] | None = Field(
        default=None, description="H3 resolution; by default the coarsest that balances well"
    )
    region: dict[str, Any] | None = Field(
        default=None,
        description="GeoJSON Polygon or MultiPolygon; by default the land near customers",
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 1

    @property
    def stated_number(self) -> int | None:
        """Number of territories as far as the request itself says it."""
        if self.n_territories is not None:
            return self.n_territories
        named = self.shares or self.rep_ids
        return None if named is None else len(named)

    @property
    def number_field(self) -> str:
        """The field that says the number of territories."""
        fields = ("rep_ids", "shares", "capacity_minutes")
        return next((name for name in fields if getattr(self, name)), "n_territories")

    @property
    def balanced(self) -> tuple[str, ...]:
        """The measures with a tolerance, the primary first."""
        return tuple(name for name in MEASURES if getattr(self.tolerances, name) is not None)

    @property
    def weighed(self) -> tuple[str, ...]:
        """The measures the solver must know: those with a tolerance or a limit."""
        limited = {name for name in MEASURES if getattr(self.limits, name) != Limit()}
        return tuple(name for name in MEASURES if name in limited or name in self.balanced)

    @property
    def names_territories(self) -> bool:
        """Whether anything here speaks of a territory by its number."""
        return bool(
            self.shares or self.rep_ids or self.centres or self.locks or self.locked_territories
        )

    def named_codes(self) -> Iterator[tuple[str, str]]:
        """Yield every code in the request with the JSON pointer to it."""
        for field in ("centres", "locks"):
            for index, wish in enumerate(getattr(self, field)):
                yield wish.territory, f"/{field}/{index}/territory"
        if self.locked_territories is not None:
            for index, code in enumerate(self.locked_territories.codes):
                yield code, f"/locked_territories/codes/{index}"


def territory_code(ordinal: int, n_territories: int) -> str:
    """Return the code of a territory: T01, T02, … with as many digits as the plan needs."""
    return f"T{ordinal + 1:0{max(2, len(str(n_territories)))}d}"


def territory_number(code: str) -> int:
    """Return the number from 0 of the territory with a code; T1, T01 and T001 are the same."""
    found = re.fullmatch(r"T(\d+)", code)
    if found is None:
        raise ValueError(f"{code!r} is no code of a territory")
    return int(found[1]) - 1
