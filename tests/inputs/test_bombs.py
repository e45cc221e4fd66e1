"""Whatever a request holds: refused at once, in little memory, nothing stored, still alive."""

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.inputs.bombs import JSON, VALUES, Bomb
from tests.inputs.requests import ADDRESSES, BODIES, HEADS
from tests.inputs.shapes import SHAPES
from tests.inputs.standing import (
    LONGEST_S,
    MOST_KB_ABOVE_IDLE,
    TRIES,
    Standing,
    memory_kb,
    places,
    reset_peak,
)


def _row(bomb: Bomb) -> Any:
    unmet = [] if bomb.unmet is None else [pytest.mark.xfail(reason=bomb.unmet, run=False)]
    return pytest.param(bomb, id=bomb.name, marks=unmet)


@pytest.mark.parametrize("bomb", list(map(_row, [*VALUES, *SHAPES, *ADDRESSES, *BODIES])))
def test_a_request_that_could_harm_is_refused_and_leaves_no_trace(
    standing: Standing, bomb: Bomb
) -> None:
    before = standing.row_counts()
    reset_peak(standing.pid)

    for _ in range(TRIES):
        answer = standing.send(bomb.method, bomb.target, bomb.headers, bomb.make())
        if answer.seconds <= LONGEST_S:
            break

    assert answer.status in bomb.statuses, answer.body[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.seconds <= LONGEST_S
    assert len(answer.body) < 2**16
    if bomb.pointer is not None and answer.status == 422:
        assert bomb.pointer in places(answer.document), answer.body[:500]
    grown = memory_kb(standing.pid, "VmHWM") - standing.idle_kb
    assert grown <= MOST_KB_ABOVE_IDLE, f"{grown} kB above idle"
    assert standing.row_counts() == before
    assert standing.is_alive()


@pytest.mark.parametrize("bomb", HEADS, ids=lambda bomb: bomb.name)
def test_a_head_beyond_what_a_connection_takes_is_refused(standing: Standing, bomb: Bomb) -> None:
    reset_peak(standing.pid)

    answer = standing.send(bomb.method, bomb.target, bomb.headers)

    assert answer.status in (400, 431)
    assert memory_kb(standing.pid, "VmHWM") - standing.idle_kb <= MOST_KB_ABOVE_IDLE
    assert standing.is_alive()


def test_a_body_that_trickles_in_is_given_up(standing: Standing) -> None:
    before = standing.row_counts()

    answer = standing.send("POST", "/v1/customers", JSON, _drips())

    assert answer.status == 408
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.seconds < 6
    assert standing.row_counts() == before


def _drips() -> Iterator[bytes]:
    for _ in range(100):
        yield b" "
        time.sleep(0.1)


TEXTS = [
    "مرحبا بالعالم",
    "\u202eevil\u202c",
    "👩‍👩‍👧‍👦 family",
    "e\u0301 combining",
    "=cmd|' /C calc'!A0",
    "𝒳𐍈",
    "<script>alert(1)</script>",
    "'; DROP TABLE customer; --",
    "../../etc/passwd",
    "%00%s%n{0}",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_any_script_is_given_back_as_it_was(standing: Standing, text: str) -> None:
    target = f"/v1/customers/by-external-id/{quote(text, safe='')}"
    body = {"name": text, "lon": 1, "lat": 1, "tags": [text], "attributes": {text: text}}

    created = standing.send("PUT", target, JSON, json.dumps(body, ensure_ascii=False).encode())

    assert created.status in (200, 201), created.body
    found = standing.send("GET", f"/v1/customers?external_id={quote(text, safe='')}", {})
    customer = found.document["items"][0]
    assert customer | body == customer
    assert customer["external_id"] == text
