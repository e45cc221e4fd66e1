"""Every filter and scope of a search against a twin over the customers one by one.

Around 20 km and a tenth of a square degree, where searches go from asking the customers they have
found for their territory to walking the cells of the territories.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

import httpx
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from shapely import affinity
from sqlalchemy import text

from app.db.session import Database
from app.search.repository import MANY_REPS, NEAR_M, SMALL_DEG2
from app.search.schemas import FoundInEachArea
from app.settings import Settings
from geo.cells import CUSTOMER_RESOLUTION, CellArray, ancestors, cells_from_points, descendants
from tests.auth.clients import clients_of
from tests.search.crowd import add_customers, clear
from tests.search.test_polygon import inside
from tests.search.test_search import WGS84, found, metres
from tests.tiles.ground import add_owner, add_plan, patch, quarters

N = 600
HERE = (121.47, 31.23)
CHOICES: dict[str, list[Any]] = {
    "class": ["S", "A", "B", "C"], "segment": ["retail", "education"],
    "tags": ["", "key", "key,new"], "status": ["active", "lead", "inactive"],
    "last_visit_days": [None, 0, 29, 30, 31, 400],
}  # fmt: skip
# A layer of everybody in four territories, and one of key classes in two.
KEY = ["S", "A"]
Bools = NDArray[np.bool_]
Role = Literal["admin", "manager", "rep"]

# By name, wherever they are: in T01, in T02, in no territory that there is, and once upon a time.
NAMED = text("""
    INSERT INTO customer_override (layer_id, customer_id, territory_code, during, reason)
    SELECT 1, id, CASE number / 40 WHEN 0 THEN 'T01' WHEN 1 THEN 'T02' WHEN 2 THEN 'GONE'
            ELSE 'T01' END,
        CASE WHEN number < 120 THEN tstzrange('2020-01-01', NULL)
            ELSE tstzrange('2020-01-01', '2021-01-01') END, 'Key account'
    FROM customer, CAST(substr(external_id, 2) AS integer) AS number
    WHERE number < 160
""")


class Ground:
    """Customers (n,), who holds them, and clients that ask for them.

    `members` has the customers of each territory, `owners` its rep where it has one, and `reps`
    those that a caller speaks for: for everybody where it is None.
    """

    def __init__(
        self,
        clients: dict[Role, httpx.AsyncClient],
        customers: dict[str, Any],
        members: dict[int, Bools],
        owners: dict[int, int],
        reps: dict[Role, frozenset[int] | None],
    ) -> None:
        self.clients, self.columns = clients, customers
        self.lon, self.lat = customers["lon"], customers["lat"]
        self.members, self.owners, self.reps = members, owners, reps

    def __repr__(self) -> str:
        # A report of all of them hides what has failed.
        return f"{len(self.lon)} customers"

    def of_reps(self, reps: frozenset[int]) -> Bools:
        """The customers of the territories that these reps own."""
        held = np.zeros(len(self.lon), dtype=bool)
        for territory_id, owner in self.owners.items():
            if owner in reps:
                held |= self.members[territory_id]
        return held

    def matching(self, role: Role, wanted: dict[str, Any]) -> Bools:
        """The customers that a caller finds with these filters, as the documentation says."""
        keep = np.ones(len(self.lon), dtype=bool)
        reps = self.reps[role]
        if reps is not None:
            keep &= self.of_reps(reps)
        for name in ("class", "segment", "status"):
            if name in wanted:
                keep &= np.isin(self.columns[name], wanted[name])
        for tag in wanted.get("tag", []):
            keep &= np.array([tag in tags.split(",") for tags in self.columns["tags"]])
        if (days := wanted.get("not_visited_days")) is not None:
            visits = self.columns["last_visit_days"]
            keep &= np.array([visit is None or visit >= days for visit in visits])
        if (territory_id := wanted.get("territory_id")) is not None:
            may_ask = reps is None or self.owners.get(territory_id) in reps
            keep &= self.members.get(territory_id, np.False_) & may_ask
        if (rep_id := wanted.get("rep_id")) is not None:
            keep &= self.of_reps(frozenset({rep_id})) & (reps is None or rep_id in reps)
        return keep


def places() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Customers around a place: every fourth is a metre or less within 20 km of it, or beyond."""
    rng = np.random.default_rng(11)
    distance = 45_000 * np.sqrt(rng.uniform(0, 1, N))
    rim = np.arange(0, N, 4)
    distance[rim] = NEAR_M + rng.choice([-1.5, -0.5, 0.5, 1.5], len(rim))
    start = np.full(N, HERE[0]), np.full(N, HERE[1])
    lon, lat, _ = WGS84.fwd(*start, rng.uniform(0, 360, N), distance)
    return np.array(lon), np.array(lat)


def mixed(cells: CellArray) -> CellArray:
    """The same ground with every third cell replaced by its children."""
    is_split = np.arange(len(cells)) % 3 == 0
    return np.sort(np.concatenate([cells[~is_split], descendants(cells[is_split], 8)]))


@pytest.fixture(scope="module")
async def ground(settings: Settings) -> AsyncIterator[Ground]:
    clear(settings)
    database = Database.of(settings)
    rng = np.random.default_rng(12)
    lon, lat = places()
    columns = {name: [values[i] for i in rng.integers(0, len(values), N)]
               for name, values in CHOICES.items()}  # fmt: skip
    await add_customers(database, lon, lat, **columns)
    # Not all of the ground: some customers are in no territory.
    cells = mixed(patch(*HERE, 0.7, 7))
    coarse = patch(*HERE, 0.5, 6)
    alignment, halves = quarters(cells), quarters(coarse) % 2
    _, field = await add_plan(database, cells, alignment, layer="field")
    _, key = await add_plan(database, coarse, halves, layer="key", customer_filter={"class": KEY})
    owned = dict(zip(("Li", "Wu", "Ho", "Xu"), (field[0], field[1], field[2], key[1]), strict=True))
    reps = {name: await add_owner(database, number, name) for name, number in owned.items()}
    async with database.writing() as session:
        await session.execute(NAMED)
        # Li, the rep, and Xu are on the team of the manager Wu; Ho is not.
        await session.execute(
            text("UPDATE rep SET manager_id = :wu WHERE id IN (:li, :xu)"),
            {"wu": reps["Wu"], "li": reps["Li"], "xu": reps["Xu"]},
        )
    fine = cells_from_points(lon, lat, CUSTOMER_RESOLUTION)
    number = np.arange(N)
    # No layer is about inactive customers unless its filter says so.
    is_served = np.array(columns["status"]) != "inactive"
    named = {field[0]: number < 40, field[1]: (number >= 40) & (number < 80)}
    members = {}
    for ordinal, territory_id in enumerate(field):
        own = cells[alignment == ordinal]
        by_cell = np.isin(ancestors(fine, 7), own) | np.isin(ancestors(fine, 8), own)
        by_name = named.get(territory_id, np.zeros(N, dtype=bool))
        members[territory_id] = (by_name | (by_cell & (number >= 120))) & is_served
    for ordinal, territory_id in enumerate(key):
        by_cell = np.isin(ancestors(fine, 6), coarse[halves == ordinal])
        members[territory_id] = by_cell & np.isin(columns["class"], KEY) & is_served
    async with clients_of(settings, database) as client_as:
        yield Ground(
            {
                "admin": await client_as("admin"),
                "manager": await client_as("manager", reps["Wu"]),
                "rep": await client_as("rep", reps["Li"]),
            },
            {"lon": lon, "lat": lat, **columns}, members,
            {owned[name]: reps[name] for name in owned},
            {
                "admin": None, "rep": frozenset({reps["Li"]}),
                "manager": frozenset(reps[name] for name in ("Wu", "Li", "Xu")),
            },
        )  # fmt: skip
    await database.close()
    clear(settings)


def some(values: list[str]) -> st.SearchStrategy[list[str]]:
    return st.sets(st.sampled_from(values), min_size=1).map(sorted)


# Territories 1 to 6 and reps 1 to 4 are there.
filters = st.fixed_dictionaries(
    {},
    optional={
        "class": some(CHOICES["class"]),
        "segment": some(CHOICES["segment"]),
        "tag": some(["key", "new"]),
        "status": some(CHOICES["status"]),
        "not_visited_days": st.sampled_from([0, 30, 31, 300, 36_500]),
        "territory_id": st.integers(1, 7),
        "rep_id": st.integers(1, 5),
    },
).map(lambda wanted: dict(list(wanted.items())[:3]))
roles: st.SearchStrategy[Role] = st.sampled_from(["admin", "manager", "rep"])
many_examples = hypothesis_settings(
    max_examples=80,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def names_of(held: Bools) -> set[str]:
    return {f"C{i}" for i in np.flatnonzero(held)}


@given(role=roles, wanted=filters, radius_m=st.sampled_from([19_999.0, NEAR_M, 20_001.0]))
@many_examples
async def test_a_radius_around_20_km_holds_who_the_twin_finds(
    ground: Ground, role: Role, wanted: dict[str, Any], radius_m: float
) -> None:
    client, (lon, lat) = ground.clients[role], HERE
    distance = metres(lon, lat, ground.lon, ground.lat)
    expected = ground.matching(role, wanted) & (distance <= radius_m)

    within = await found(
        client, "radius", lon=lon, lat=lat, radius_m=radius_m, limit=1000, **wanted
    )
    body = {"points": [{"lon": lon, "lat": lat}], "radius_m": radius_m, "limit": 1000}
    batch = await client.post("/v1/search/radius:batch", json={**body, **wanted})

    assert {customer["external_id"] for customer in within} == names_of(expected)
    told = [customer["distance_m"] for customer in within]
    assert np.allclose(told, np.sort(distance[expected]), rtol=0, atol=0.051)
    (item,) = batch.json()["items"]
    assert [feature["properties"] for feature in item["features"]] == within


@pytest.mark.parametrize("many", [MANY_REPS, 2], ids=["all at once", "who is near first"])
@given(role=roles, wanted=filters, k=st.sampled_from([1, 7, 1000]))
@many_examples
async def test_the_nearest_are_those_that_the_twin_finds(
    ground: Ground,
    monkeypatch: pytest.MonkeyPatch,
    many: int,
    role: Role,
    wanted: dict[str, Any],
    k: int,
) -> None:
    # The manager sees what is of three reps.
    monkeypatch.setattr("app.search.repository.MANY_REPS", many)
    # Not the place itself: a quarter of the customers are all as far from it.
    lon, lat = 121.4321, 31.1987
    distance = metres(lon, lat, ground.lon, ground.lat)
    keep = ground.matching(role, wanted)
    order = [i for i in np.argsort(distance) if keep[i]][:k]

    first = await found(ground.clients[role], "nearest", lon=lon, lat=lat, k=k, **wanted)

    assert [customer["external_id"] for customer in first] == [f"C{i}" for i in order]


@given(
    role=roles,
    wanted=filters,
    area_deg2=st.sampled_from([0.99 * SMALL_DEG2, 1.01 * SMALL_DEG2]),
    shape=st.tuples(st.floats(0.5, 2), st.floats(0, 90), st.floats(-0.2, 0.2)),
)
@many_examples
async def test_an_area_of_about_a_tenth_of_a_degree_holds_who_the_twin_finds(
    ground: Ground,
    role: Role,
    wanted: dict[str, Any],
    area_deg2: float,
    shape: tuple[float, float, float],
) -> None:
    ratio, angle, shift = shape
    width, height = np.sqrt(area_deg2 * ratio), np.sqrt(area_deg2 / ratio)
    box = shapely.box(-width / 2, -height / 2, width / 2, height / 2)
    area = affinity.translate(affinity.rotate(box, angle), HERE[0] + shift, HERE[1] - shift)
    assert (area.area <= SMALL_DEG2) == (area_deg2 < SMALL_DEG2)
    within = shapely.covers(area, shapely.points(ground.lon, ground.lat))

    names = await inside(
        ground.clients[role],
        shapely.geometry.mapping(area),
        "/v1/search/polygon?limit=97",
        **wanted,
    )

    assert len(names) == len(set(names))
    assert set(names) == names_of(ground.matching(role, wanted) & within)


@given(
    role=roles,
    wanted=filters,
    sizes=st.lists(st.sampled_from([0.05, 0.3, 0.33, 1.0]), min_size=1, max_size=4),
    limit=st.sampled_from([1, 7, 1000]),
)
@many_examples
async def test_each_item_of_a_batch_is_the_first_page_of_its_area(
    ground: Ground, role: Role, wanted: dict[str, Any], sizes: list[float], limit: int
) -> None:
    # On both sides of a tenth of a square degree, and each of them elsewhere.
    boxes = [
        shapely.box(west, HERE[1] - size / 2, west + size, HERE[1] + size / 2)
        for size, west in zip(sizes, HERE[0] - 0.3 + 0.1 * np.arange(len(sizes)), strict=True)
    ]
    areas = [shapely.geometry.mapping(box) for box in boxes]
    client = ground.clients[role]

    together = await client.post(
        "/v1/search/polygon:batch", json={"areas": areas, "limit": limit, **wanted}
    )

    assert together.status_code == 200, together.text
    items = together.json()["items"]
    FoundInEachArea.model_validate_json(together.content)
    points = shapely.points(ground.lon, ground.lat)
    for area, box, item in zip(areas, boxes, items, strict=True):
        alone = await client.post(
            f"/v1/search/polygon?limit={limit}", json={"geometry": area, **wanted}
        )
        page = alone.json()
        assert page.pop("links") is not None
        assert item == page
        held = names_of(ground.matching(role, wanted) & shapely.covers(box, points))
        names = {feature["properties"]["external_id"] for feature in item["features"]}
        assert names <= held
        assert len(names) == item["numberReturned"] == min(limit, len(held))


def kinds_of(ground: Ground) -> Iterator[tuple[str, Bools]]:
    yield "all", ground.matching("admin", {})
    for role in ("manager", "rep"):
        yield role, ground.matching(role, {})
    for territory_id in ground.members:
        yield f"territory {territory_id}", ground.matching("admin", {"territory_id": territory_id})


def test_the_ground_tells_the_roads_apart(ground: Ground) -> None:
    """Each caller and territory has customers on both sides of 20 km, and some that are not."""
    distance = metres(*HERE, ground.lon, ground.lat)
    is_rim = (distance > 19_999) & (distance <= 20_001)
    for name, held in kinds_of(ground):
        assert (held & is_rim).sum() >= 3, name
        assert name == "all" or 20 < held.sum() < N / 1.2, name
