"""Imports as their users see them: upload, run, result, faults."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from tests.conftest import REPOSITORY, Drain
from tests.imports.conftest import GOOD, HEADER, Import
from tests.second_process import transport_to

BAD = "B1,Swapped,31.2304,121.4737,A,5,\n"


async def count(database: Database, table: str) -> int:
    async with database.reading() as session:
        found = await session.scalar(text(f"SELECT count(*) FROM {table}"))
    return int(found or 0)


async def errors_of(client: httpx.AsyncClient, run: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await client.get(f"/v1/imports/{run['id']}/errors")
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_a_csv_file_becomes_customers(client: httpx.AsyncClient, run_import: Import) -> None:
    content = "Customer ID,Name,Lng,Latitude,Class,Tags,zip\n7,Jinhai,121.5,31.2,a,new; key,02134\n"

    run = await run_import(content, filename="../我的/customers.csv")

    assert run["state"] == "succeeded"
    assert run["result"] | {"sha256": ""} == {
        "kind": "customers", "filename": "customers.csv", "sha256": "", "dry_run": False,
        "rows": 1, "created": 1, "updated": 0, "unchanged": 0, "rejected": 0,
        "mapping": {
            "external_id": "Customer ID", "name": "Name", "lon": "Lng", "lat": "Latitude",
            "class": "Class", "tags": "Tags",
        },
        "other_columns": ["zip"],
        "message": "1 created, 0 updated, 0 unchanged, 0 rejected.",
    }  # fmt: skip
    customer = (await client.get("/v1/customers")).json()["items"][0]
    assert (customer["external_id"], customer["name"]) == ("7", "Jinhai")
    assert (customer["lon"], customer["lat"]) == (121.5, 31.2)
    assert (customer["class"], customer["tags"]) == ("A", ["new", "key"])
    assert customer["attributes"] == {"zip": "02134"}
    assert customer["work_minutes"] > 0


async def test_a_geojson_file_becomes_customers(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [121.5, 31.2]},
        "properties": {"external_id": "G", "tags": ["a", "b"], "floor": 3, "open": True},
    }
    content = orjson.dumps({"type": "FeatureCollection", "features": [feature]})

    run = await run_import(content, filename="customers.geojson")

    assert run["result"]["created"] == 1
    customer = (await client.get("/v1/customers")).json()["items"][0]
    assert (customer["lon"], customer["lat"], customer["tags"]) == (121.5, 31.2, ["a", "b"])
    assert customer["name"] == "G"
    assert customer["attributes"] == {"floor": 3, "open": True}


async def test_reps_are_imported_with_homes_and_capacities(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    content = "rep_id,name,home_lon,home_lat,fte,skills\nR1,Lin,121.4,31.2,2,a;b\nR2,Wu,,,,\n"

    run = await run_import(content, kind="reps")

    assert run["result"]["created"] == 2
    first, second = (await client.get("/v1/reps")).json()["items"]
    assert (first["home_lon"], first["fte"], first["skills"]) == (121.4, 2, ["a", "b"])
    assert first["capacity_minutes"] == pytest.approx(220 * 8 * 60 * 0.8 * 2)
    assert (second["home_lon"], second["fte"]) == (None, 1)


async def test_the_same_file_again_changes_nothing_and_says_so(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    content = HEADER + GOOD + "G2,Second,120,30,,,\n"
    await run_import(content)
    before = (await client.get("/v1/customers")).json()["items"]

    run = await run_import(content)

    assert run["result"]["message"] == "Nothing changed: all 2 rows are as stored."
    assert (await client.get("/v1/customers")).json()["items"] == before


async def test_bad_rows_are_listed_with_number_field_and_reason_and_the_rest_is_stored(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    run = await run_import(HEADER + GOOD + BAD + "B2,Many,x,95,Q,-1,soon\n" + GOOD)

    assert run["state"] == "succeeded"
    assert (run["result"]["rows"], run["result"]["created"], run["result"]["rejected"]) == (4, 1, 3)
    found = [(item["row"], item["field"], item["code"]) for item in await errors_of(client, run)]
    assert found == [
        (3, "lat", "swapped"),
        (4, "class", "unknown-value"),
        (4, "potential", "out-of-range"),
        (4, "last_visit_at", "date"),
        (4, "lon", "number"),
        (4, "lat", "out-of-range"),
        (5, "external_id", "duplicate"),
    ]
    assert (await errors_of(client, run))[-1]["detail"] == "G1 is the id of row 2 already"


async def test_faults_are_paged(client: httpx.AsyncClient, run_import: Import) -> None:
    run = await run_import(HEADER + BAD * 5)
    address, rows = f"/v1/imports/{run['id']}/errors?limit=2", []

    while address:
        page = (await client.get(address)).json()
        rows += [item["row"] for item in page["items"]]
        address = next((link["href"] for link in page["links"] if link["rel"] == "next"), "")

    assert rows == [2, 3, 4, 5, 6]


async def test_abort_stores_nothing_but_the_faults(
    client: httpx.AsyncClient, database: Database, run_import: Import
) -> None:
    run = await run_import(HEADER + GOOD + BAD, on_error="abort")

    assert run["state"] == "failed"
    assert run["result"] is None
    assert run["error"]["detail"] == "1 of 2 rows are bad; nothing was stored."
    assert run["error"]["errors"][0]["row"] == 3
    assert await count(database, "customer") == 0
    assert [item["code"] for item in await errors_of(client, run)] == ["swapped"]


async def test_abort_stores_a_file_without_faults(run_import: Import) -> None:
    run = await run_import(HEADER + GOOD, on_error="abort")

    assert run["result"]["created"] == 1


async def test_a_dry_run_foretells_the_import_and_stores_nothing(
    client: httpx.AsyncClient, database: Database, run_import: Import
) -> None:
    await run_import(HEADER + GOOD + "U,Old,120,30,,,\n")
    before = (await client.get("/v1/customers")).json()["items"]
    content = HEADER + GOOD + "U,New,120,30,,,\n" + "N,New,120,30,,,\n" + BAD

    foretold = await run_import(content, dry_run="true")

    assert (await client.get("/v1/customers")).json()["items"] == before
    assert len(await errors_of(client, foretold)) == 1
    told = foretold["result"]
    assert told["message"].startswith("Dry run, nothing was stored: 1 created, 1 updated, 1 unch")
    done = (await run_import(content))["result"]
    for name in ("rows", "created", "updated", "unchanged", "rejected", "mapping"):
        assert told[name] == done[name]


async def test_a_mapping_joins_columns_and_wins_over_guessing(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    content = "brand,store_id,lon,lat,name\nCVS,1,-95,29,x\nWAG,1,-96,29,y\n"
    mapping = '{"external_id": ["brand", "store_id"], "segment": "brand", "name": null}'

    run = await run_import(content, mapping=mapping)

    assert run["result"]["mapping"]["external_id"] == ["brand", "store_id"]
    customers = (await client.get("/v1/customers")).json()["items"]
    assert [customer["external_id"] for customer in customers] == ["CVS-1", "WAG-1"]
    assert [customer["segment"] for customer in customers] == ["CVS", "WAG"]
    assert customers[0]["name"] == "CVS-1"
    assert customers[0]["attributes"] == {"name": "x"}


async def test_a_mapping_to_a_missing_column_fails_with_the_columns_there_are(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    run = await run_import(HEADER + GOOD, mapping='{"lon": "longitud"}')

    assert run["state"] == "failed"
    assert "'longitud'" in run["error"]["detail"]
    assert "external_id, name, lon, lat" in run["error"]["detail"]
    assert [item["code"] for item in await errors_of(client, run)] == ["unknown-column"]


@pytest.mark.parametrize(
    ("content", "form", "pointer"),
    [
        (b"", {"kind": "customers"}, "/file"),
        (b"PK\x03\x04zip", {"kind": "customers"}, "/file"),
        (b"%PDF-1.7", {"kind": "customers"}, "/file"),
        ("id,lon".encode("utf-16"), {"kind": "customers"}, "/file"),
        (b"id", {"kind": "orders"}, "/kind"),
        (b"id", {}, "/kind"),
        (b"id", {"kind": "reps", "on_error": "panic"}, "/on_error"),
        (b"id", {"kind": "reps", "colour": "red"}, "/colour"),
        (b"id", {"kind": "reps", "mapping": "{"}, "/mapping"),
        (b"id", {"kind": "reps", "mapping": "[1]"}, "/mapping"),
        (b"id", {"kind": "reps", "mapping": '{"lon": "x"}'}, "/mapping/lon"),
    ],
)
async def test_what_is_known_to_be_wrong_is_refused_at_once(
    client: httpx.AsyncClient,
    database: Database,
    content: bytes,
    form: dict[str, str],
    pointer: str,
) -> None:
    answer = await client.post("/v1/imports", files={"file": ("f.csv", content)}, data=form)

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert await count(database, "upload") == 0
    assert await count(database, "run") == 0


async def test_a_form_without_a_file_and_a_body_that_is_no_form_are_refused(
    client: httpx.AsyncClient,
) -> None:
    kind = {"kind": (None, "customers")}
    assert (await client.post("/v1/imports", files=kind)).status_code == 422
    assert (await client.post("/v1/imports", json={"kind": "customers"})).status_code == 400
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await client.post("/v1/imports", content=b"--y\r\n", headers=broken)
    assert answer.status_code == 400


async def test_errors_of_something_else_than_an_import_are_not_found(
    client: httpx.AsyncClient,
) -> None:
    assert (await client.get("/v1/imports/99/errors")).status_code == 404


@pytest.fixture
async def strict_client(
    settings: Settings, empty_database: None
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that asks for keys and takes up to 3 MB."""
    application = create_app(
        settings.model_copy(update={"auth": "on", "max_upload_bytes": 3 * 2**20})
    )
    transport = transport_to(application)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client
    await application.state.database.close()


async def test_nothing_is_read_from_a_caller_without_a_key(
    strict_client: httpx.AsyncClient,
) -> None:
    pieces = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal pieces
        for _ in range(10):
            pieces += 1
            yield b"x" * 2**16

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    answer = await strict_client.post("/v1/imports", content=body(), headers=headers)

    assert answer.status_code == 401
    assert pieces == 0


@pytest.mark.parametrize("n_bytes", [4 * 2**20, 6 * 2**20])
async def test_a_file_over_the_limit_is_refused(
    application: FastAPI, client: httpx.AsyncClient, database: Database, n_bytes: int
) -> None:
    limit = 3 * 2**20
    application.state.settings = application.state.settings.model_copy(
        update={"max_upload_bytes": limit}
    )
    content = (HEADER + GOOD).encode().ljust(n_bytes, b"\n")

    answer = await client.post(
        "/v1/imports", files={"file": ("f.csv", content)}, data={"kind": "customers"}
    )

    assert answer.status_code == 413
    assert await count(database, "upload_chunk") == 0


async def test_a_file_larger_than_other_bodies_may_be_is_taken(
    client: httpx.AsyncClient, database: Database
) -> None:
    content = (HEADER + GOOD).encode().ljust(9 * 2**20 + 5, b"\n")

    answer = await client.post(
        "/v1/imports", files={"file": ("f.csv", content)}, data={"kind": "customers"}
    )

    assert answer.status_code == 202
    assert answer.json()["parameters"]["filename"] == "f.csv"
    async with database.reading() as session:
        sizes = list(
            await session.scalars(text("SELECT length(data) FROM upload_chunk ORDER BY ordinal"))
        )
    assert sizes == [2**20] * 9 + [5]


async def test_the_sample_of_the_yangtze_delta_is_imported_without_a_bad_row(
    database: Database, run_import: Import, drain: Drain
) -> None:
    content = (REPOSITORY / "sample_data" / "yangtze_customers.csv").read_bytes()

    run = await run_import(content)

    assert run["result"]["created"] == 20_000
    assert run["result"]["rejected"] == 0
    async with database.reading() as session:
        stored = (
            await session.execute(
                text("""
                    SELECT count(*), sum(work_minutes), sum(potential), sum(revenue)
                    FROM customer WHERE status <> 'inactive'
                """)
            )
        ).one()
        for resolution in (2, 6, 9):
            summed = (
                await session.execute(
                    text("""
                        SELECT sum(customers), sum(work_minutes), sum(potential), sum(revenue)
                        FROM activity_cell WHERE resolution = :resolution
                    """),
                    {"resolution": resolution},
                )
            ).one()
            assert [float(value) for value in summed] == pytest.approx(
                [float(value) for value in stored]
            )
        snapshots = await session.scalar(text("SELECT sum(customers) FROM measure_snapshot"))
    assert snapshots == stored[0]
