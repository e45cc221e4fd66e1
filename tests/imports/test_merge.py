"""What a merge does to rows that are stored already."""

import httpx

from tests.imports.conftest import Import

FULL = (
    "external_id,name,lon,lat,class,segment,tags,potential,visits_per_year,last_visit_at,floor,zip\n"
    "A,Alpha,121,31,A,retail,x;y,10,12,2026-10-30,3,02134\n"
    "B,Beta,122,32,B,retail,,20,,,,\n"
)


async def test_columns_that_a_file_does_not_have_keep_what_is_stored(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    await run_import(FULL)
    before = {c["external_id"]: c for c in (await client.get("/v1/customers")).json()["items"]}

    run = await run_import("external_id,lon,lat,potential\nA,121,31,11\nB,122,32,20\n")

    assert (run["result"]["updated"], run["result"]["unchanged"]) == (1, 1)
    after = {c["external_id"]: c for c in (await client.get("/v1/customers")).json()["items"]}
    kept = {"potential": 11, "version": 2, "updated_at": after["A"]["updated_at"]}
    assert after["A"] == before["A"] | kept
    assert after["B"] == before["B"]


async def test_empty_cells_take_the_stored_value_away(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    await run_import(FULL)

    await run_import(
        "external_id,name,lon,lat,class,tags,visits_per_year,last_visit_at,floor\nA,,121,31,,,,,\n"
    )

    customer = (await client.get("/v1/customers?external_id=A")).json()["items"][0]
    assert (customer["name"], customer["class"], customer["tags"]) == ("A", "C", [])
    assert (customer["visits_per_year"], customer["last_visit_at"]) == (None, None)
    assert customer["attributes"] == {"zip": "02134"}
    assert customer["segment"] == "retail"


async def test_a_customer_that_moved_gets_its_new_cell_and_counts_there(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    await run_import(FULL)
    before = (await client.get("/v1/customers?external_id=A")).json()["items"][0]

    await run_import("external_id,lon,lat\nA,121.5,31.5\n")

    after = (await client.get("/v1/customers?external_id=A")).json()["items"][0]
    assert after["cell"] != before["cell"]
    assert (after["lon"], after["lat"]) == (121.5, 31.5)


async def test_text_with_every_sign_that_copy_knows_comes_back_as_it_was(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    name = 'tab\there, line\nbreak, \\N \\. "quoted" ünï 名 😀'
    note = 'C:\\new\ttab\n"x"'
    quoted = [cell.replace('"', '""') for cell in (name, note)]

    await run_import(f'id,lon,lat,name,note\n\\N,1,2,"{quoted[0]}","{quoted[1]}"\n')

    customer = (await client.get("/v1/customers")).json()["items"][0]
    assert (customer["external_id"], customer["name"]) == ("\\N", name)
    assert customer["attributes"] == {"note": note}


async def test_reps_keep_their_home_when_the_file_has_none(
    client: httpx.AsyncClient, run_import: Import
) -> None:
    await run_import("id,name,home_lon,home_lat\nR,Lin,121,31\n", kind="reps")

    run = await run_import("id,fte\nR,3\nS,1\n", kind="reps")

    assert (run["result"]["created"], run["result"]["updated"]) == (1, 1)
    rep = (await client.get("/v1/reps")).json()["items"][0]
    assert (rep["name"], rep["home_lon"], rep["fte"]) == ("Lin", 121, 3)
    again = await run_import("id\nR\nS\n", kind="reps")
    assert again["result"]["message"] == "Nothing changed: all 2 rows are as stored."
