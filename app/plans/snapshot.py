"""The input of a plan as bytes, so that the plan can be made again when customers have changed.

Layout of the demand: the magic `BWI1`, then zlib of: the number of cells (uint64), the first cell
and the differences to the next ones, and the activity measure by measure. All numbers are eight
bytes, little-endian, and stand byte by byte: the first bytes of all cells, then the second ones;
sorted ids and amounts of one kind repeat a lot in that order.
"""

import asyncio
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from app.plans.demand import Demand
from app.plans.request import MEASURES

MAGIC = b"BWI1"
WORD = 8
# Higher ones take three times as long for a hundredth less.
COMPRESSION = 6

Cells = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Given:
    """What a design was given beside customers and the request.

    Attributes
    ----------
    resolved
        What `app.plans.lookups` found: reps and locked ground.
    cells
        Sorted units, where they were those of another plan; None where the design found them.
    rebalance
        For a rebalance, as `app.plans.rebalance_job` gives it: the plan it began from, and more.
    """

    resolved: dict[str, Any]
    cells: Cells | None = None
    rebalance: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """All that a plan was made from but the request, packed to be stored."""

    sha256: str
    n_cells: int
    demand: bytes
    given: bytes


async def make_source(demand: Demand, given: Given) -> Source:
    """Pack what a plan is made from, beside the loop: a million cells take seconds."""
    packed = await asyncio.to_thread(pack_demand, demand)
    document = await asyncio.to_thread(pack_given, given)
    return Source(demand.digest, len(demand.cells12), packed, document)


def pack_demand(demand: Demand) -> bytes:
    """Return sorted cells and their activity as bytes."""
    count = np.array([len(demand.cells12)], dtype="<u8")
    steps = np.diff(demand.cells12, prepend=np.uint64(0)).astype("<u8")
    columns = np.ascontiguousarray(demand.activity.T.astype("<f8"))
    body = b"".join([_by_byte(steps), *(_by_byte(column) for column in columns)])
    return MAGIC + zlib.compress(count.tobytes() + body, COMPRESSION)


def unpack_demand(data: bytes) -> Demand:
    """Return the demand that `pack_demand` was given.

    Raises
    ------
    ValueError
        When the bytes are not a packed demand.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("these bytes are not the input of a plan")
    try:
        body = zlib.decompress(data[len(MAGIC) :])
    except zlib.error as error:
        raise ValueError("the input of the plan cannot be unpacked") from error
    count = int(np.frombuffer(body, "<u8", 1)[0]) if len(body) >= WORD else -1
    if len(body) != WORD * (1 + count * (1 + len(MEASURES))):
        raise ValueError("the input of the plan is cut off")
    words = np.frombuffer(body, np.uint8, offset=WORD).reshape(1 + len(MEASURES), WORD, count)
    steps = np.ascontiguousarray(words[0].T).view("<u8").ravel()
    columns = [np.ascontiguousarray(part.T).view("<f8").ravel() for part in words[1:]]
    activity = np.ascontiguousarray(np.stack(columns, axis=1), dtype=np.float64)
    return Demand(np.cumsum(steps, dtype=np.uint64), activity)


def pack_given(given: Given) -> bytes:
    """Return what a design was given beside its customers as bytes."""
    cells = None if given.cells is None else given.cells.tolist()
    document = {"resolved": given.resolved, "cells": cells, "rebalance": given.rebalance}
    return zlib.compress(orjson.dumps(document), COMPRESSION)


def unpack_given(data: bytes) -> Given:
    """Return what `pack_given` was given.

    Raises
    ------
    ValueError
        When the bytes are not that.
    """
    try:
        document = orjson.loads(zlib.decompress(data))
    except (zlib.error, orjson.JSONDecodeError) as error:
        raise ValueError("what the plan was given cannot be unpacked") from error
    cells = document["cells"]
    return Given(
        document["resolved"],
        None if cells is None else np.array(cells, dtype=np.uint64),
        document.get("rebalance"),
    )


def _by_byte(words: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(words.view(np.uint8).reshape(-1, WORD).T).tobytes()
