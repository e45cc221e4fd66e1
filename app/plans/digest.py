"""The fingerprint of what a plan was made from."""

import hashlib

import numpy as np
from numpy.typing import NDArray


def input_digest(cells12: NDArray[np.uint64], activity: NDArray[np.float64]) -> str:
    """Return the SHA-256 of cells with customers (n,) and their activity (n, 4)."""
    digest = hashlib.sha256(cells12.astype("<u8").tobytes())
    digest.update(activity.astype("<f8").tobytes())
    return digest.hexdigest()
