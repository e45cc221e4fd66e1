"""What is asked all day reads indexes, and not a table of a hundred thousand rows.

As the application's own role, and as the one of `/ogc`. Tiles, searches, members of fences and the
lookup of territories have theirs in `tests/tiles`, `tests/search`, `tests/geofences` and
`tests/territories`.
"""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from morecantile import Tile
from sqlalchemy import create_engine, text

from app.activity import fold, turn_day
from app.activity.rollup import IS_STALE
from app.db.access import Access
from app.db.scope import EVERYTHING
from app.db.session import Database
from app.http.paging import encode_cursor
from app.main import create_app
from app.ogc import documents
from app.ogc.questions import Question, box_of, interval_of
from app.ogc.reader import Reader
from app.ogc.views import VIEWS
from app.settings import Settings, WorkSettings
from app.territories.repository import lookup_each, lookup_one
from geo.cells import CUSTOMER_RESOLUTION, cells_from_points
from geo.tiles import tile_at
from tests.auth.clients import clients_of
from tests.crowded_ground import (
    HERE,
    N,
    Sent,
    crowded_ground,
    explained,
    prepared_plans,
    read_whole,
    statements_sent,
)
from tests.search.crowd import analyze
from tests.search.test_search import explain
from tests.tiles.ground import add_owner, add_plan, patch, quarters

DAY = date(2026, 3, 20)
# Filled in by the test: names of tests must be the same in all processes that run them.
LATELY = "LATELY"
DEEP = encode_cursor(95_000)
CITY = "bbox=121.3,31.1,121.6,31.4"
LAND = "bbox=118,28,125,35"
# One in a thousand and less is of a rare kind.
CROWD: dict[str, Any] = {
    "class": np.where(np.arange(N) % 1000 == 0, "S", np.array(["A", "B", "C"])[np.arange(N) % 3]),
    "segment": np.where(np.arange(N) % 5000 == 1, "rare", "retail"),
    "tags": np.where(np.arange(N) % 5000 == 2, "rare", np.where(np.arange(N) % 5 == 0, "key", "")),
    "status": np.where(np.arange(N) % 1000 == 3, "lead", "active"),
    "last_visit_days": np.arange(N) % 200,
}
MONTHS = text("""
    INSERT INTO measure_snapshot
    SELECT CAST(month AS date), cell, class, segment, customers, work_minutes, potential, revenue, 0
    FROM activity_cell, unnest(ARRAY['2026-01-01', '2026-02-01', '2026-03-01']) AS month
    WHERE resolution = 6
""")
AUDIT = text("""
    INSERT INTO audit_event (at, actor, action, entity, entity_id)
    SELECT now() - make_interval(mins => 100000 - n),
        CASE n % 5000 WHEN 1 THEN 'key:rare' ELSE 'key:crm' END,
        CASE n % 5000 WHEN 2 THEN 'erase' WHEN 3 THEN 'import' ELSE 'update' END,
        CASE n % 5000 WHEN 4 THEN 'rep' ELSE 'customer' END, n
    FROM generate_series(1, 100000) AS n
""")
IMPORTS = text("""
    INSERT INTO audit_event (at, actor, action, entity, entity_ids)
    SELECT now() - interval '1 year', 'key:crm', 'import', 'customer',
        int8multirange(int8range(200000 + 10 * n, 200010 + 10 * n))
    FROM generate_series(1, 2000) AS n
""")


@pytest.fixture(scope="module")
async def crowded(settings: Settings) -> AsyncIterator[Database]:
    columns = {name: values.tolist() for name, values in CROWD.items()}
    async with crowded_ground(settings, **columns) as database:
        # A plan of all the ground but the corners.
        cells = patch(*HERE, 17, 4)
        await add_plan(database, cells, quarters(cells), layer="country")
        await turn_day(database, WorkSettings(), DAY)
        engine = create_engine(Access.of(settings).owner_url)
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM measure_snapshot"))
            connection.execute(MONTHS)
            connection.execute(AUDIT)
            connection.execute(IMPORTS)
        engine.dispose()
        analyze(settings)
        yield database


@pytest.fixture
async def client(
    settings: Settings, crowded: Database
) -> AsyncIterator[tuple[httpx.AsyncClient, Database]]:
    """A client of the application on this ground, and the database that it asks."""
    application = create_app(settings)
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as found:
        yield found, application.state.database
    await application.state.database.close()


@pytest.mark.parametrize(
    "address",
    [
        "/v1/customers",
        f"/v1/customers?cursor={DEEP}",
        f"/v1/customers?cursor={DEEP}&limit=1000&format=geojson",
        f"/v1/customers?cursor={DEEP}&class=A&class=B",
        "/v1/customers?class=S",
        "/v1/customers?segment=rare",
        "/v1/customers?tag=rare",
        "/v1/customers?status=lead",
        "/v1/customers?external_id=C77",
        f"/v1/customers?{CITY}",
        f"/v1/customers?cursor={encode_cursor(20_000)}&{LAND}",
        f"/v1/heatmap?{CITY}&zoom=9&measure=hot_spot&rings=3",
        f"/v1/heatmap?{LAND}&zoom=7&measure=hot_spot&of=revenue",
        "/v1/heatmap?resolution=4&measure=hot_spot",
        f"/v1/heatmap?{CITY}&resolution=6&measure=change&from=2026-01&to=2026-03",
        f"/v1/heatmap?{CITY}&resolution=4&measure=change&from=2026-01&class=A",
        f"/v1/heatmap?{LAND}&zoom=7&measure=change&from=2026-02&of=visit_gap",
        "/v1/heatmap?resolution=3&measure=change&from=2026-01&to=2026-03",
        "/v1/territories/white-space?layer=2",
        "/v1/territories/white-space/count?layer=2",
        "/v1/geofences/at?lon=121.47&lat=31.23",
        f"/v1/geofences?cursor={encode_cursor(7000)}",
        f"/v1/geofences?{CITY}",
        "/v1/audit",
        f"/v1/audit?cursor={DEEP}",
        "/v1/audit?entity=customer",
        "/v1/audit?entity=rep",
        "/v1/audit?entity=customer&entity_id=77",
        "/v1/audit?entity=customer&entity_id=212345",
        "/v1/audit?actor=key:rare",
        "/v1/audit?actor=key:crm&action=update",
        "/v1/audit?action=erase",
        f"/v1/audit?since={LATELY}",
        f"/v1/audit?since={LATELY}&actor=key:crm",
    ],
)
async def test_a_request_reads_no_large_table_from_end_to_end(
    client: tuple[httpx.AsyncClient, Database], address: str
) -> None:
    asking, database = client
    with statements_sent(database) as sent:
        answer = await asking.get(address.replace(LATELY, two_hours_ago()))
    assert answer.status_code == 200, answer.text
    document = answer.json()
    assert document.get("items") or document.get("features") or document.get("customers")

    plans = await explained(database, sent)

    # White space is what all the cells of one plan leave out; they are read whole, of no other.
    is_of_plan = "white-space" in address
    assert plans
    for plan in plans:
        whole = read_whole(plan)
        assert not whole or (is_of_plan and whole == ["plan_cell_2"]), plan


def two_hours_ago() -> str:
    return (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("n_points", [1, 10_000])
async def test_territories_are_found_by_the_cells_of_points(
    crowded: Database, n_points: int
) -> None:
    rng = np.random.default_rng(1)
    lon, lat = HERE[0] + rng.uniform(-2, 2, n_points), HERE[1] + rng.uniform(-2, 2, n_points)
    cells = cells_from_points(lon, lat, CUSTOMER_RESOLUTION).astype(np.int64).tolist()

    each = await explain(crowded, lookup_each(cells, EVERYTHING, None, None))
    one = await explain(crowded, lookup_one(cells[0], EVERYTHING, None, None))

    assert not read_whole(one), one
    assert "plan_cell_1" in one
    if n_points == 1:
        assert not read_whole(each), each


@pytest.fixture(scope="module")
async def rep_id(crowded: Database) -> int:
    """A rep whom one of the four territories of the smaller plan belongs to."""
    return await add_owner(crowded, 1, "rep")


PLACE = "lon=121.47&lat=31.23"
Z9, Z12 = ("/".join(map(str, tile_at(*HERE, z))) for z in (9, 12))
# Filters of which only the values tell whether few match, and what finds the few.
RARE = {
    "tag=rare": "ix_customer_tags", "segment=rare": "ix_customer_segment",
    "status=lead": "ix_customer_status", "not_visited_days=199": "ix_customer_last_visit_at",
    "territory_id=1": "ix_customer_cell", "rep_id=REP": "ix_customer_cell",
}  # fmt: skip
# By status for these values, by place for any; no whole table is read in any case.
EITHER = "ix_customer_"
ANY_ROLLUP = "Index Scan using pk_activity_cell"
# What a request sends to be kept, the index by which it must be found, and for whom.
FOR_ANY_VALUES: list[tuple[str, str, str]] = [
    *(
        (f"/v1/search/{search}&{PLACE}{wanted}", f"Scan using {index} on", "admin")
        for search in ("radius?radius_m=3000", "radius?radius_m=200000", "nearest?k=10")
        for wanted, index in (
            ("", "ix_customer_geog"), ("&class=S", "ix_customer_geog_sa"),
            ("&class=B", "ix_customer_geog_b"), ("&class=C", "ix_customer_geog"),
        )
    ),
    # Within 5 km, where the index of places ends soon, visits and status may be any.
    *(
        (f"/v1/search/radius?radius_m=3000&{PLACE}&{wanted}", index, "admin")
        for wanted, index in (
            ("status=lead", EITHER), ("not_visited_days=199", "ix_customer_geog"),
            ("class=B&not_visited_days=30", "ix_customer_geog_b"),
        )
    ),
    (f"/v1/search/radius?radius_m=3000&{PLACE}", "ix_customer_geog", "rep"),
    (f"/v1/search/radius?radius_m=200000&{PLACE}", "ix_customer_cell", "rep"),
    (f"/v1/search/nearest?{PLACE}", "ix_customer_cell", "rep"),
    (f"/v1/search/nearest?{PLACE}&class=C", "ix_customer_cell", "rep"),
    (f"/v1/territories/at?{PLACE}", "plan_cell_1_pkey", "admin"),
    (f"/v1/territories/at?{PLACE}&layer=1", "plan_cell_1_pkey", "admin"),
    (f"/v1/territories/at?{PLACE}&as_of=2026-01-01T00:00:00Z", "plan_cell_1_pkey", "admin"),
    (f"/v1/territories/at?{PLACE}", "plan_cell_1_pkey", "rep"),
    *(
        (f"/v1/tiles/heat/{tile}.mvt?measure=revenue{wanted}", ANY_ROLLUP, role)
        for tile in (Z9, Z12)
        for wanted in ("", "&class=A", "&class=A&segment=retail")
        for role in ("admin", "viewer", "rep")
    ),
    (f"/v1/tiles/customers/{Z9}.mvt", ANY_ROLLUP, "admin"),
    (f"/v1/tiles/customers/{Z12}.mvt", "ix_customer_geom", "admin"),
    (f"/v1/tiles/customers/{Z9}.mvt", "ix_customer_cell", "rep"),
    (f"/v1/tiles/customers/{Z12}.mvt", "ix_customer_geom", "rep"),
    (f"/v1/tiles/geofences/{Z9}.mvt", "ix_geofence_tile_outline", "admin"),
]  # fmt: skip

# Planned for any values and never for these.
PLANNED_ONCE = {
    (f"/v1/tiles/customers/{Z12}.mvt", "admin"), (f"/v1/tiles/customers/{Z9}.mvt", "rep"),
    (f"/v1/tiles/customers/{Z12}.mvt", "rep"), (f"/v1/tiles/geofences/{Z9}.mvt", "admin"),
}  # fmt: skip


async def plans_kept(
    settings: Settings, database: Database, address: str, role: str, rep_id: int
) -> dict[str, list[str]]:
    """How the statements of a request are run, by the mode in which the database may plan them."""
    async with clients_of(settings, database) as client_as:
        asking = await client_as(role, rep_id if role == "rep" else None)
        with prepared_plans() as plans:
            answer = await asking.get(address.replace("REP", str(rep_id)))
    assert answer.status_code in (200, 204), answer.text
    by_mode: dict[str, list[str]] = {}
    for plan in plans:
        by_mode.setdefault(plan.mode, []).append(plan.plan)
    return by_mode


@pytest.mark.parametrize(("address", "index", "role"), FOR_ANY_VALUES)
async def test_a_statement_that_is_kept_is_found_by_its_index_for_these_and_for_any_values(
    settings: Settings, crowded: Database, rep_id: int, address: str, index: str, role: str
) -> None:
    kept = await plans_kept(settings, crowded, address, role, rep_id)

    assert set(kept) == {"force_custom_plan", "force_generic_plan"}
    for mode, plans in kept.items():
        if mode == "force_generic_plan" or (address, role) not in PLANNED_ONCE:
            assert any(index in plan for plan in plans), "\n\n".join([mode, *plans])
        for plan in plans:
            assert not read_whole(plan), f"{mode}\n{plan}"


SEARCHES = ("radius?radius_m=3000", "radius?radius_m=6000", "radius?radius_m=200000", "nearest?k=9")


@pytest.mark.parametrize(
    ("search", "wanted", "index"),
    [
        (search, wanted, index)
        for search in SEARCHES
        for wanted, index in RARE.items()
        # These are planned for any values, and so stand above.
        if not ("=3000" in search and wanted.startswith(("status", "not_visited")))
    ],
)
async def test_a_search_for_what_may_be_rare_is_never_planned_for_any_values(
    settings: Settings, crowded: Database, rep_id: int, search: str, wanted: str, index: str
) -> None:
    address = f"/v1/search/{search}&{PLACE}&{wanted}"

    kept = await plans_kept(settings, crowded, address, "admin", rep_id)

    assert list(kept) == ["force_custom_plan"]
    (plan,) = kept["force_custom_plan"]
    # Who is within some kilometres is few as well.
    may_be = (index,) if "200000" in search or "nearest" in search else (index, "ix_customer_geog")
    assert any(name in plan for name in may_be), plan
    assert not read_whole(plan), plan


@pytest.mark.parametrize(
    "wanted", ["tag=key", "segment=retail", "status=active", LAND, "territory_id=1"]
)
async def test_a_list_of_what_may_be_rare_is_never_planned_for_any_values(
    settings: Settings, crowded: Database, wanted: str
) -> None:
    """Else the twelfth page of customers with a common tag reads and sorts all that have it."""
    application = create_app(settings.model_copy(update={"pool_size": 1}))
    database: Database = application.state.database
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
        for _ in range(12):
            answer = await asking.get(f"/v1/customers?{wanted}")
            assert answer.status_code == 200, answer.text

    async with database.reading() as session:
        planned = await session.execute(
            text("SELECT generic_plans, custom_plans FROM pg_prepared_statements "
                 "WHERE statement ~ 'SELECT customer.id, customer.external_id'")
        )  # fmt: skip
        kept = planned.all()
    await database.close()

    assert any(n_custom for _, n_custom in kept)
    assert all(n_generic == 0 for n_generic, _ in kept), kept


def without_first_look(sent: Sent) -> Sent:
    """Statements but the one that looks whether there is any row, and stops at the first."""
    return [(said, values) for said, values in sent if said != str(IS_STALE)]


async def test_a_fold_of_a_few_changes_reads_no_rollup_from_end_to_end(crowded: Database) -> None:
    async with crowded.writing() as session:
        await session.execute(text("UPDATE customer SET potential = 7 WHERE id BETWEEN 50 AND 60"))
    with statements_sent(crowded) as sent:
        assert await fold(crowded)

    plans = await explained(crowded, without_first_look(sent))

    assert any("Insert on activity_cell" in plan for plan in plans)
    assert any("Delete on activity_cell" in plan for plan in plans)
    for plan in plans:
        assert not read_whole(plan), plan


async def test_the_midnight_turn_reads_the_customers_once(crowded: Database) -> None:
    with statements_sent(crowded) as sent:
        assert await turn_day(crowded, WorkSettings(), DAY + timedelta(days=1))

    sent = without_first_look(sent)
    plans = await explained(crowded, sent)

    # Once, for the due dates: settings that they follow from may have changed since.
    assert [table for plan in plans for table in read_whole(plan)] == ["customer"], plans
    (newly_overdue,) = [
        plan for plan, (said, _) in zip(plans, sent, strict=True)
        if "INSERT INTO activity_delta" in said
    ]  # fmt: skip
    assert "ix_customer_due_on" in newly_overdue, newly_overdue


ASKED: list[tuple[str, dict[str, Any]]] = [
    ("customers", {}),
    ("customers", {"after": 95_000}),
    ("customers", {"box": box_of("121.3,31.1,121.6,31.4")}),
    ("customers", {"box": box_of("121.3,31.1,121.6,31.4"), "after": 95_000}),
    ("customers", {"interval": interval_of("2026-01-01T00:00:00Z/2026-01-02T00:00:00Z")}),
    *(
        ("customers", {"values": {name: value}})
        for name, value in {
            "external_id": "C77", "name": "Customer 77", "segment": "rare",
            "status": "lead",
        }.items()
    ),
    # One of five: the page is full long before the table ends.
    ("customers", {"values": {"class": "A"}}),
    ("geofences", {"after": 7000}),
    ("geofences", {"box": box_of("121.3,31.1,121.6,31.4")}),
    ("geofences", {"values": {"name": "Here"}}),
]  # fmt: skip


@pytest.fixture
async def reader(settings: Settings, crowded: Database) -> AsyncIterator[Any]:
    """The connections of `/ogc`, of its own role."""
    reader = Reader.of(settings)
    async with reader.connection() as connection:
        yield connection
    await reader.close()


async def explain_ogc(reader: Any, statement: str, *values: Any) -> str:
    lines = await reader.fetch(f"EXPLAIN {statement}", *values)
    return "\n".join(line for (line,) in lines)


@pytest.mark.parametrize(("name", "asked"), ASKED)
async def test_a_page_of_ogc_reads_no_large_table_from_end_to_end(
    reader: Any, name: str, asked: dict[str, Any]
) -> None:
    nothing: dict[str, Any] = {"after": None, "box": None, "interval": None, "values": {}}
    question = Question(100, **nothing | asked)
    page, count = VIEWS[name].page_statement(question), VIEWS[name].count_statement(question)

    plan = await explain_ogc(reader, page.text, *page.values)
    counting = await explain_ogc(reader, count.text, *count.values)

    assert not read_whole(plan), plan
    is_few = any(asked.get(part) for part in ("box", "interval", "values"))
    if is_few and "class" not in asked.get("values", {}):
        assert not read_whole(counting), counting
    else:
        # They are counted to so many and no further.
        assert "Limit" in counting, counting


@pytest.mark.parametrize("name", list(VIEWS))
async def test_one_feature_of_ogc_is_found_by_its_id(reader: Any, name: str) -> None:
    statement = VIEWS[name].item_statement(77)

    plan = await explain_ogc(reader, statement.text, *statement.values)

    assert not read_whole(plan), plan


@pytest.mark.parametrize("name", list(VIEWS))
async def test_the_extent_of_a_collection_of_ogc_is_found_by_the_index(
    reader: Any, name: str
) -> None:
    statement = VIEWS[name].extent_statement()

    plan = await explain_ogc(reader, statement.text)

    assert not read_whole(plan), plan


class Explaining:
    """Takes the statements of a tile and asks how they are run."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.plans: list[str] = []

    async def fetchval(self, statement: str, *values: Any) -> bytes:
        self.plans.append(await explain_ogc(self._reader, statement, *values))
        return b""


@pytest.mark.parametrize(
    ("name", "z"),
    [
        *(("customers", z) for z in (0, 5, 9, 12, 16)),
        *(("geofences", z) for z in (7, 9, 12, 16)),
        ("territories", 9),
    ],
)
async def test_a_tile_of_ogc_reads_no_large_table_from_end_to_end(
    reader: Any, name: str, z: int
) -> None:
    explaining = Explaining(reader)
    z, x, y = tile_at(*HERE, z)

    await VIEWS[name].get_tile(explaining, tms=documents.scheme(), tile=Tile(x, y, z), limit=10_000)

    (plan,) = explaining.plans
    assert not read_whole(plan), plan
