"""JSON that means one thing: no NaN, no name twice in an object, no depth that a parser dies of.

orjson makes the value; it refuses NaN, Infinity, numbers out of range and text that is no Unicode.
"""

import json
from typing import Any, NoReturn

import numpy as np
import orjson

from app.errors import Fault, MalformedRequest, TooLarge

DEEPEST = 64
BLOCK_BYTES = 2**18
LONGEST_NAME_SHOWN = 80

# What a byte does to the depth: open +1, close -1, all others nothing.
STEPS = np.zeros(256, dtype=np.int32)
STEPS[[ord("["), ord("{")]] = 1
STEPS[[ord("]"), ord("}")]] = -1
STARTS = np.zeros(256, dtype=bool)
STARTS[[ord("["), ord("{"), ord(",")]] = True
# As objects in memory they take ten times their text.
MOST_VALUES = 400_000
QUOTE, COLON = ord('"'), ord(":")
# Below, parsing twice costs less than a look at every byte.
LARGE_BYTES = 2**16


class _TwiceNamed(ValueError):
    """An object has two members of one name."""


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises
    ------
    MalformedRequest
        Saying what is wrong, and where.
    TooLarge
        When it holds more values than any request has a use for.
    """
    is_large = len(body) > LARGE_BYTES
    n_colons = _scan(body) if is_large or _may_be_deep(body) else 0
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        _refuse("json", f"{error.msg} at character {error.pos}")
    # To name twins the text is parsed again by a slower parser; a large one only if it has some.
    if not is_large or _n_members(value) != n_colons:
        _refuse_twins(body)
    return value


def _may_be_deep(body: bytes) -> bool:
    return body.count(b"[") + body.count(b"{") > DEEPEST


def _scan(body: bytes) -> int:
    """Refuse depth and number beyond the limits before any parser sees them; count the members.

    In constant memory. A text that is no JSON may be taken for deeper than it is: it is refused
    either way.
    """
    depth, n_colons, n_values = 0, 0, 0
    is_inside = is_escaped = False
    for start in range(0, len(body), BLOCK_BYTES):
        block, is_escaped = _without_escapes(body[start : start + BLOCK_BYTES], is_escaped)
        is_text = (np.cumsum(block == QUOTE) % 2 == 1) != is_inside
        depths = depth + np.cumsum(np.where(is_text, 0, STEPS[block]))
        if int(depths.max()) > DEEPEST:
            offset = start + int(np.argmax(depths > DEEPEST))
            _refuse("depth", f"nested deeper than {DEEPEST} at byte {offset}")
        n_colons += int(np.count_nonzero((block == COLON) & ~is_text))
        # Each value but the first follows a comma or an opening bracket.
        n_values += int(np.count_nonzero(STARTS[block] & ~is_text))
        if n_values > MOST_VALUES:
            detail = f"more than {MOST_VALUES} values"
            raise TooLarge(f"The body holds {detail}.", [Fault("too-many-values", detail, "")])
        depth, is_inside = int(depths[-1]), bool(is_text[-1])
    return n_colons


def _n_members(value: Any) -> int:
    """Return how many members the objects of a value have."""
    count, waiting = 0, [value]
    while waiting:
        item = waiting.pop()
        if type(item) is dict:
            count += len(item)
            waiting += item.values()
        elif type(item) is list:
            waiting += [inner for inner in item if type(inner) in (dict, list)]
    return count


def _without_escapes(text: bytes, is_escaped: bool) -> tuple[Any, bool]:
    """Return a block with its escaped characters blanked, and whether the next begins with one."""
    if is_escaped:
        text = b"_" + text[1:]
    ends_escaping = False
    if b"\\" in text:
        text = text.replace(b"\\\\", b"__")
        ends_escaping = text.endswith(b"\\")
        text = text.replace(b'\\"', b"__")
    return np.frombuffer(text, dtype=np.uint8), ends_escaping


def _refuse_twins(body: bytes) -> None:
    try:
        json.loads(body, object_pairs_hook=_without_twins)
    except _TwiceNamed as error:
        _refuse("duplicate-member", f"an object names {str(error)!r} twice")
    except (ValueError, RecursionError):
        # orjson has read it; what the slower parser makes of an exotic number is no concern.
        return


def _without_twins(members: list[tuple[str, Any]]) -> None:
    names = {name for name, _ in members}
    if len(names) == len(members):
        return
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            raise _TwiceNamed(name[:LONGEST_NAME_SHOWN])
        seen.add(name)


def _refuse(code: str, detail: str) -> NoReturn:
    raise MalformedRequest("The body is not JSON that can be accepted.", [Fault(code, detail, "")])
