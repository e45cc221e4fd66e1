"""Files to import: over HTTP with a worker behind it, or straight into the reading."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from app.errors import InvalidInput
from app.imports import parse
from tests.conftest import Drain

Import = Callable[..., Awaitable[dict[str, Any]]]
Reading = Callable[..., "Parsed"]

HEADER = "external_id,name,lon,lat,class,potential,last_visit_at\n"
GOOD = "G1,Jinhai,121.4737,31.2304,A,120000,2026-10-30\n"


@dataclass(frozen=True)
class Parsed:
    """What the reading of a file left behind."""

    summary: dict[str, Any]
    rows: list[list[str]]
    faults: list[tuple[int, str, str]]
    details: list[str]

    def attributes(self, row: int) -> Any:
        return orjson.loads(self.rows[row][-2].replace("\\\\", "\\"))


@pytest.fixture
def reading(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Reading:
    """Read a file as the child process does; refusals of whole files are raised."""

    def read(content: str | bytes, kind: str = "customers", **mapping: list[str]) -> Parsed:
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / "upload").write_bytes(data)
        request = {"kind": kind, "mapping": mapping, "on_error": "skip"}
        (tmp_path / "request.json").write_bytes(orjson.dumps(request))
        parse.main(tmp_path)
        faults = [line.split("\t") for line in (tmp_path / "faults.copy").read_text().splitlines()]
        return Parsed(
            summary=orjson.loads((tmp_path / "summary.json").read_bytes()),
            rows=[
                line.split("\t")
                for line in (tmp_path / "accepted.copy").read_text().split("\n")[:-1]
            ],
            faults=[(int(row), field, code) for row, field, code, _ in faults],
            details=[detail for *_, detail in faults],
        )

    return read


@pytest.fixture
def refusal(reading: Reading) -> Callable[..., str]:
    """Read a file that is refused as a whole; return the code."""

    def refused(content: str | bytes, kind: str = "customers", **mapping: list[str]) -> str:
        with pytest.raises(InvalidInput) as caught:
            reading(content, kind, **mapping)
        return caught.value.faults[0].code

    return refused


@pytest.fixture
def run_import(client: httpx.AsyncClient, drain: Drain) -> Import:
    """Upload a file, let a worker do its work, and return the run."""

    async def run(
        content: str | bytes, kind: str = "customers", filename: str = "file.csv", **form: str
    ) -> dict[str, Any]:
        answer = await client.post(
            "/v1/imports", files={"file": (filename, content)}, data={"kind": kind, **form}
        )
        assert answer.status_code == 202, answer.text
        await drain()
        done: dict[str, Any] = (await client.get(answer.headers["Location"])).json()
        return done

    return run
