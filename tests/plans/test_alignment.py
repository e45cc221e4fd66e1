"""Alignments as bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.alignment import pack, unpack


@given(
    st.dictionaries(
        st.integers(0x08001FFFFFFFFFF, 0x8F754E64992D6D8), st.integers(0, 2**31 - 1), max_size=50
    )
)
def test_unpack_returns_what_was_packed(alignment: dict[int, int]) -> None:
    cells = np.array(sorted(alignment), dtype=np.uint64)
    ordinals = np.array([alignment[cell] for cell in sorted(alignment)], dtype=np.int32)

    unpacked_cells, unpacked_ordinals = unpack(pack(cells, ordinals))

    assert np.array_equal(unpacked_cells, cells)
    assert np.array_equal(unpacked_ordinals, ordinals)


def test_other_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="not a packed alignment"):
        unpack(b"PK\x03\x04")
