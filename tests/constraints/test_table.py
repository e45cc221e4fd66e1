"""Every field of a plan request: honoured and conflicting, by the API and by the command line."""

import inspect
import re
from collections import Counter
from pathlib import Path

import pytest

from app.cli.design import design
from app.plans.request import PlanRequest
from tests.conftest import REPOSITORY
from tests.constraints.conftest import Designer
from tests.constraints.ground import World
from tests.constraints.rows import ROWS, Answer, Given, Row

WAYS = ("API", "CLI")


@pytest.fixture
async def given(world: World, designer: Designer, tmp_path: Path) -> Given:
    """What rows refer to; the first plan is designed once for the whole table."""
    if not world.first:
        world.first.append(await designer.by_api(n_territories=4))
    (first,) = world.first
    assert isinstance(first, Answer)
    assert first.plan, first.said
    return Given(world.layers, world.reps, tmp_path, first)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.field}-{row.kind}")
async def test_a_wish_is_honoured_or_its_conflict_said(
    given: Given, designer: Designer, row: Row, way: str
) -> None:
    if way == "API":
        answer = await designer.by_api(**{"n_territories": row.number, **row.body(given)})
    else:
        answer = await designer.by_cli(*row.words(given), number=row.number)

    row.check(answer, given)


def test_every_field_of_a_plan_request_has_its_rows() -> None:
    found = Counter((row.field, row.kind) for row in ROWS)

    for field in PlanRequest.model_fields:
        for kind in ("honoured", "conflicting"):
            assert found[field, kind] >= 1, f"{field} has no row for {kind}"
    assert {row.field for row in ROWS} == set(PlanRequest.model_fields)


def test_every_field_and_option_is_documented() -> None:
    text = (REPOSITORY / "docs/constraints.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| `(--[a-z-]+)", text, re.MULTILINE))
    options = set(inspect.signature(design).parameters)

    assert list(rows) == list(PlanRequest.model_fields)
    for option in rows.values():
        assert option.removeprefix("--").removeprefix("no-").replace("-", "_") in options, option
