"""Logs of a server and a worker that were told a lot: none of it stands in them."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import NullPool, create_engine, text

from app.auth import create_key
from app.db.access import Access
from app.db.session import Database
from app.settings import Settings
from tests.jobs.processes import server, worker

# Words and numbers that stand nowhere else. Every text sent holds WORD, every place these digits.
WORD = "Zyxomma"
LON, LAT = 121.4719283, 31.2304756
SECRETS = [WORD, WORD.lower(), "4719283", "2304756", "121.4719", "31.2304"]
TOKEN = f"eyJhbGciOiJSUzI1NiIsImtpZCI6InZ5eG9tbWEifQ.{WORD}.{WORD}"
CUSTOMER = {
    "external_id": f"{WORD}-1", "name": f"{WORD} Trading", "lon": LON, "lat": LAT,
    "segment": WORD, "tags": [WORD], "attributes": {WORD: WORD},
}  # fmt: skip
HEADER = "external_id,name,lon,lat,note\n"
ROW = f"{WORD}-2,{WORD} & Sons,{LON},{LAT},{WORD}\n"
JSON = {"Content-Type": "application/json"}
FENCE = [[LON, LAT], [LON + 1, LAT], [LON, LAT + 1], [LON, LAT]]
BY_CONSTRAINT = "ALTER TABLE customer ADD CONSTRAINT test_refusal CHECK (name NOT LIKE :like)"


def _requests(client: httpx.Client) -> Iterator[httpx.Response]:
    """Send what succeeds, what is refused, and what is nonsense; all of it holds marks."""
    yield client.post("/v1/customers", json=CUSTOMER, headers={"Idempotency-Key": f"{WORD}-key"})
    yield client.post("/v1/customers", json=CUSTOMER)
    yield client.post("/v1/customers", json={**CUSTOMER, "lon": WORD, WORD: 1})
    yield client.post("/v1/customers", content=f'{{"name": "{WORD}", "lon": NaN}}', headers=JSON)
    yield client.post("/v1/customers", json=CUSTOMER, headers={"Idempotency-Key": f"{WORD} {WORD}"})
    yield client.put(f"/v1/customers/by-external-id/{WORD}-3", json={"name": WORD})
    yield client.patch("/v1/customers/1", json={"name": WORD}, headers={"If-Match": f'"{WORD}"'})
    yield client.get("/v1/customers", params={"external_id": WORD, "segment": WORD})
    yield client.get("/v1/customers", params={"cursor": WORD, WORD: WORD})
    yield client.get("/v1/search/radius", params={"lon": LON, "lat": LAT, "radius_m": 500})
    yield client.get("/v1/search/radius", params={"lon": LON, "lat": LAT, "radius_m": WORD})
    yield client.get("/v1/territories/at", params={"lon": LON, "lat": LAT})
    yield client.post("/v1/territories/at:batch", json={"points": [{"lon": LON, "lat": LAT}]})
    fence = {"type": "Polygon", "coordinates": [FENCE]}
    yield client.post("/v1/geofences", json={"name": WORD, "geometry": fence})
    broken = {"type": "Polygon", "coordinates": [FENCE[:3]]}
    yield client.post("/v1/geofences", json={"name": WORD, "geometry": broken})
    yield client.post("/v1/reps", json={"external_id": WORD, "name": WORD})
    yield client.post("/v1/layers", json={"name": WORD.lower(), "title": WORD})
    yield client.post("/v1/plans", json={"layer_id": 1, "n_territories": 1, "name": WORD})
    yield client.post("/v1/api-keys", json={"name": WORD, "role": "viewer"})
    yield client.get(f"/{WORD}/{LON}", params={"key": WORD})
    yield client.get("/v1/runs/1/events", headers={"Last-Event-ID": WORD})
    yield client.get("/v1/customers")
    for credential in (f"Bearer {TOKEN}", f"Bearer bw_0123456789ab_{WORD}", f"Basic {WORD}", WORD):
        yield client.get("/v1/customers", headers={"Authorization": credential})


def _import(client: httpx.Client, content: str, filename: str, **form: str) -> dict[str, Any]:
    files, data = {"file": (filename, content)}, {"kind": "customers", **form}
    answer = client.post("/v1/imports", files=files, data=data)
    assert answer.status_code == 202, answer.text
    for _ in range(600):
        run: dict[str, Any] = client.get(answer.headers["Location"]).json()
        if run["state"] not in ("queued", "running"):
            return run
        time.sleep(0.1)
    raise AssertionError(run)


def _imports(client: httpx.Client) -> Iterator[str]:
    yield _import(client, HEADER + ROW, f"{WORD}.csv")["state"]
    bad = HEADER + ROW + f"{WORD},{WORD},{WORD},{LAT},\n"
    yield _import(client, bad, f"{WORD}.csv", on_error="abort")["state"]
    yield _import(client, f"{WORD};{LON}\n{WORD};{LAT}\n", f"../{WORD}.csv")["state"]
    yield _import(client, f'{{"type": "FeatureCollection", "features": [{{"{WORD}', WORD)["state"]


@contextmanager
def _mistakes(settings: Settings) -> Iterator[None]:
    """Let the database refuse what the service thinks is right: an error that nobody expects."""
    engine = create_engine(Access.of(settings).owner_url, poolclass=NullPool)
    drop = text("ALTER TABLE customer DROP CONSTRAINT IF EXISTS test_refusal")
    with engine.begin() as connection:
        connection.execute(text(BY_CONSTRAINT.replace(":like", "'Qyxomma%'")))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.execute(drop)


@pytest.mark.parametrize(("level", "form"), [("debug", "json"), ("info", "console")])
async def test_nothing_that_was_sent_stands_in_the_logs(
    settings: Settings, database: Database, capfd: pytest.CaptureFixture[str], level: str, form: str
) -> None:
    async with database.writing() as session:
        key = await create_key(session, f"{WORD} key", "admin")
    surroundings = {
        "BAILIWICK_AUTH": "on", "BAILIWICK_LOG_LEVEL": level, "BAILIWICK_LOG_FORMAT": form,
        "BAILIWICK_OIDC_ISSUER": "http://127.0.0.1:9", "BAILIWICK_OIDC_AUDIENCE": WORD,
    }  # fmt: skip
    wrong = {**CUSTOMER, "external_id": f"{WORD}-9", "name": f"Qyxomma {WORD}"}
    wrong_file = HEADER + ROW.replace(f"{WORD} &", f"Qyxomma {WORD} &")

    with (
        server(settings, **surroundings) as (_, address),
        worker(settings, **surroundings),
        httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}) as client,
    ):
        statuses = {answer.status_code for answer in _requests(client)}
        states = list(_imports(client))
        with _mistakes(settings):
            mistake = client.post("/v1/customers", json=wrong)
            failed = _import(client, wrong_file, f"{WORD}.csv")
    written = "".join(capfd.readouterr())

    assert {200, 201, 400, 401, 404, 409, 412, 422} <= statuses
    assert states == ["succeeded", "failed", "failed", "failed"]
    assert (mistake.status_code, failed["state"]) == (500, "failed")
    assert failed["error"]["type"] == "/problems/internal"
    assert "unexpected_error" in written, "the error is there"
    assert "run_failed" in written
    assert mistake.json()["trace_id"] in written
    assert failed["error"]["trace_id"] in written
    secrets = [*SECRETS, "Qyxomma", key, key.rsplit("_", 1)[1], TOKEN]
    assert [secret for secret in secrets if secret in written] == []
    if form == "json":
        # Each line is one object, and a request line tells no more than this.
        lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
        told = {name for line in lines if line["event"] == "request" for name in line}
        assert told == {
            "event", "level", "timestamp", "request_id", "method", "route", "status", "duration_ms",
        }  # fmt: skip
