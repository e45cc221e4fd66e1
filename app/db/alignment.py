"""An alignment as bytes: sorted cells and the territory ordinal of each, compressed.

Layout: the magic `BWA1`, then zlib of: the number of cells (uint64), the first cell and the
differences to the next ones (uint64 each), the ordinals (int32 each), all little-endian. The
differences of sorted ids repeat a lot and compress well.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

MAGIC = b"BWA1"

Cells = NDArray[np.uint64]
Ordinals = NDArray[np.int32]


def pack(cells: Cells, ordinals: Ordinals) -> bytes:
    """Return sorted `cells` (n,) and their territory `ordinals` (n,) as bytes."""
    steps = np.diff(cells, prepend=np.uint64(0)).astype("<u8")
    count = np.array([len(cells)], dtype="<u8")
    body = count.tobytes() + steps.tobytes() + ordinals.astype("<i4").tobytes()
    return MAGIC + zlib.compress(body, level=6)


def unpack(data: bytes) -> tuple[Cells, Ordinals]:
    """Return the cells and ordinals that `pack` was given.

    Raises
    ------
    ValueError
        When the bytes are not a packed alignment.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError("these bytes are not a packed alignment")
    body = zlib.decompress(data[len(MAGIC) :])
    count = int(np.frombuffer(body, "<u8", 1)[0])
    steps = np.frombuffer(body, "<u8", count, offset=8)
    ordinals = np.frombuffer(body, "<i4", count, offset=8 + 8 * count)
    return np.cumsum(steps, dtype=np.uint64), ordinals.astype(np.int32)
