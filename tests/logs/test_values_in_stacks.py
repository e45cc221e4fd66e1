"""What errors say of values stays out of the logs; where they happened does not."""

import traceback
from collections.abc import Callable

import psycopg
import pytest
from pydantic import BaseModel

from app.http.logs import without_values


class Place(BaseModel):
    lon: float
    note: bool


def from_the_database() -> None:
    try:
        raise psycopg.errors.UniqueViolation(
            "duplicate key value\nDETAIL:  Key (name)=(Ms\nLin) already exists.\nHINT:  Look."
        )
    except psycopg.Error as error:
        raise RuntimeError("it is broken") from error


def from_pydantic() -> None:
    Place.model_validate({"lon": "Ms Lin", "note": {"Lin": [121.4719]}})


def from_python() -> None:
    float("Ms Lin")


def from_a_dictionary() -> None:
    {}['Ms "Lin"']


@pytest.mark.parametrize(
    ("fail", "words"),
    [
        (from_the_database, ["UniqueViolation", "duplicate key", "HINT:  Look.", "it is broken"]),
        (from_pydantic, ["ValidationError", "lon", "valid number", "input_type=str"]),
        (from_python, ["ValueError: could not convert string to float"]),
        (from_a_dictionary, ["KeyError"]),
    ],
)
def test_a_stack_tells_where_and_what_but_no_values(
    fail: Callable[[], None], words: list[str]
) -> None:
    try:
        fail()
    except Exception:
        stack = traceback.format_exc()
    message = "\n".join(line for line in stack.splitlines() if "test_values_in" not in line)
    assert "Lin" in message

    told = str(without_values(None, "error", {"event": "e", "exception": stack})["exception"])

    for word in [*words, "test_values_in_stacks.py", fail.__name__]:
        assert word in told
    # The source of a line is code, which is no secret.
    values = [line for line in told.splitlines() if "Lin" in line and not line.startswith("    ")]
    assert values == []
    assert "121.4719" not in "".join(line for line in told.splitlines() if "    " not in line)
