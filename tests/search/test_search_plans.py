"""How the database finds customers among a hundred thousand, as the application's own role."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from app.db import scope as scopes
from app.db.access import Access
from app.db.customer_filter import CustomerFilter
from app.db.session import Database
from app.db.spatial import geography
from app.db.tables import Customer
from app.search.repository import around_each, in_area, nearest
from app.settings import Settings
from geo.geojson import polygon_from_geojson
from tests.search.crowd import analyze, clear
from tests.search.test_polygon import box
from tests.search.test_search import explain

HERE = (121.4, 31.2)
SMALL = box(121.40, 31.20, 121.42, 31.22)
WORLD = box(-180, -90, 180, 90)
# One in five hundred has a tag, one in a thousand a rare segment, and so on.
CROWD = text("""
    INSERT INTO customer (external_id, name, geom, cell, class, segment, tags, status,
        last_visit_at)
    SELECT 'C' || n, 'Customer ' || n,
        ST_SetSRID(ST_MakePoint(121.4 + 3 * (random() - 0.5), 31.2 + 3 * (random() - 0.5)), 4326),
        631243922056054783, (ARRAY['S', 'A', 'A', 'B', 'B', 'B', 'C', 'C', 'C', 'D'])[1 + n % 10],
        CASE WHEN n % 1000 = 0 THEN 'rare' ELSE 'retail' END,
        CASE WHEN n % 5000 = 0 THEN '{rare,key}' WHEN n % 5 = 0 THEN '{key}' ELSE '{}' END::text[],
        CASE WHEN n % 1000 = 1 THEN 'lead' ELSE 'active' END,
        now() - make_interval(days => CASE WHEN n % 1000 = 2 THEN 400 ELSE n % 30 END)
    FROM generate_series(1, 100000) AS n
""")


@pytest.fixture(scope="module")
def crowd(settings: Settings) -> Iterator[None]:
    clear(settings)
    engine = create_engine(Access.of(settings).owner_url)
    with engine.begin() as connection:
        # Neither rollups nor the audit are asked here.
        connection.execute(text("ALTER TABLE customer DISABLE TRIGGER USER"))
        connection.execute(CROWD)
        connection.execute(text("ALTER TABLE customer ENABLE TRIGGER USER"))
    engine.dispose()
    analyze(settings)
    yield
    # Others empty the tables row by row.
    clear(settings)


@pytest.fixture
async def crowded(settings: Settings, crowd: None) -> AsyncIterator[Database]:
    database = Database.of(settings)
    yield database
    await database.close()


def statement(radius_m: float | None, **wanted: Any) -> Any:
    here = geography(*HERE)
    conditions = CustomerFilter(**wanted).conditions(scopes.EVERYTHING)
    if radius_m is not None:
        conditions.append(Customer.geog.ST_DWithin(here, radius_m))
    return nearest(here, here, conditions, 60)


@pytest.mark.parametrize("radius_m", [None, 3_000.0])
@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "ix_customer_geog"),
        ({"classes": ("S",)}, "ix_customer_geog_sa"),
        ({"classes": ("A",)}, "ix_customer_geog_sa"),
        ({"classes": ("A", "S")}, "ix_customer_geog_sa"),
        ({"classes": ("B",), "not_visited_days": 20}, "ix_customer_geog_b"),
        ({"classes": ("C",)}, "ix_customer_geog"),
    ],
)
async def test_a_search_walks_the_index_of_its_class_in_the_order_of_distance(
    crowded: Database, radius_m: float | None, wanted: dict[str, Any], index: str
) -> None:
    explained = await explain(crowded, statement(radius_m, **wanted))

    assert f"Index Scan using {index} on" in explained, explained
    assert "Order By: (geog <->" in explained
    assert "Seq Scan" not in explained
    assert "Sort" not in explained


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"tags": ("rare",)}, "ix_customer_tags"),
        ({"tags": ("nobody",)}, "ix_customer_tags"),
        ({"segments": ("rare",)}, "ix_customer_segment"),
        ({"statuses": ("lead", "inactive")}, "ix_customer_status"),
        ({"not_visited_days": 300}, "ix_customer_last_visit_at"),
    ],
)
async def test_the_nearest_of_a_few_are_found_by_what_makes_them_few(
    crowded: Database, wanted: dict[str, Any], index: str
) -> None:
    explained = await explain(crowded, statement(None, **wanted))

    assert index in explained, explained
    assert "Seq Scan" not in explained


async def test_areas_and_batches_read_indexes_only(crowded: Database) -> None:
    conditions = CustomerFilter(classes=("A",)).conditions(scopes.EVERYTHING)
    small = polygon_from_geojson(SMALL)
    world = polygon_from_geojson(WORLD)
    near = await explain(crowded, in_area(small, conditions, 0, 100), limit=100)
    far = await explain(crowded, in_area(world, conditions, 0, 100), limit=100)
    each = await explain(crowded, around_each([(*HERE, *HERE)] * 5, 3000, conditions, 10, 20))

    assert "ix_customer_geom" in near
    assert each.count("ix_customer_geog_sa") == 1
    for explained in (near, far, each):
        assert "Seq Scan" not in explained, explained
