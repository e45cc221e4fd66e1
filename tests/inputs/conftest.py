"""Processes to throw things at."""

from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import NullPool, create_engine

from app.db.access import Access
from app.settings import Settings
from tests.conftest import remove_all_rows
from tests.inputs.files import GOOD, HEADER
from tests.inputs.standing import Standing, Watch, import_file, watching
from tests.jobs.processes import process, server

CUSTOMER = {"external_id": "K1", "name": "Kept", "lon": 121.5, "lat": 31.2}
LAYER = {"name": "kept", "title": "Kept"}
# More files a minute than anybody is given, and less patience with a body.
MILD = {"BAILIWICK_RATE_HEAVY": "10000/minute", "BAILIWICK_BODY_TIMEOUT_S": "4"}


@pytest.fixture(scope="module")
def standing(settings: Settings) -> Iterator[Standing]:
    """A server with one customer and one layer, warm from a few requests."""
    remove_all_rows(settings)
    engine = create_engine(Access.of(settings).owner_url, poolclass=NullPool)
    with server(settings, **MILD) as (process, address), engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        with httpx.Client(base_url=address) as client:
            assert client.post("/v1/customers", json=CUSTOMER).status_code == 201
            assert client.post("/v1/layers", json=LAYER).status_code == 201
            assert client.post("/v1/customers", json={}).status_code == 422
            assert client.get("/v1/search/radius?lon=121&lat=31&radius_m=9").status_code == 200
        service = Standing(process.pid, address, connection)
        service.note_idle()
        yield service


@pytest.fixture(scope="module")
def worker(settings: Settings, standing: Standing) -> Iterator[Watch]:
    """A worker of the same database, and the memory of what it starts."""
    with process(settings, "app", "worker") as running, watching(running.pid) as watch:
        done = import_file(standing, HEADER + GOOD, dry_run="true")
        assert done["state"] == "succeeded", done
        watch.wait_until_loaded()
        watch.note_idle()
        yield watch
