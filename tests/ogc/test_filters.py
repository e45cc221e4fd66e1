"""Filters that fell parsers or call functions: refused before anything reads them."""

import json
from urllib.parse import quote

import pytest

from tests.inputs.conftest import standing
from tests.inputs.standing import MOST_KB_ABOVE_IDLE, Standing, memory_kb, reset_peak

__all__ = ["standing"]

ITEMS = "/ogc/collections/customers/items"
DEEP = "(" * 3000 + "a=1" + ")" * 3000
NESTED = json.dumps({"op": "not", "args": [{"op": "not", "args": [True]}]})
FILTERS = (
    f"filter={DEEP}",
    f"filter={quote(DEEP[:2500])}&filter-lang=cql2-text",
    "filter=pg_read_file('/etc/passwd')%3D'x'",
    "filter=pg_sleep(60)+IS+NULL",
    f"filter={quote(NESTED)}&filter-lang=cql2-json",
    "FILTER=a%3D1",
    "Filter-Lang=cql2-text",
    "filter-crs=x",
    "filter",
    "filter=",
    "filters=1",
    "limit=1&filter=a",
    "filter=a&filter=b",
)


@pytest.mark.parametrize("query", FILTERS, ids=lambda query: query[:30])
def test_a_filter_is_refused_and_the_process_lives(standing: Standing, query: str) -> None:
    reset_peak(standing.pid)

    answer = standing.send("GET", f"{ITEMS}?{query}", {})

    assert answer.status == 400, answer.body
    assert answer.document["type"] == "/problems/not-supported"
    assert len(answer.body) < 2**13
    assert memory_kb(standing.pid, "VmHWM") - standing.idle_kb <= MOST_KB_ABOVE_IDLE
    assert standing.is_alive()


def test_a_body_of_a_question_is_of_no_effect(standing: Standing) -> None:
    answer = standing.send("GET", ITEMS, {"Content-Type": "application/json"}, b"{" * 1000)

    assert answer.status == 200
    assert standing.is_alive()
