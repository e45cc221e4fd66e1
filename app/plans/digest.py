"""What the process that designs a plan and the one that stores it have to agree on."""

import hashlib

import numpy as np
from numpy.typing import NDArray

CERTIFICATE_FILE = "certificate.json.gz"
# The units of a design, where they are those of another plan.
GIVEN_CELLS_FILE = "given_cells.npy"


def input_digest(cells12: NDArray[np.uint64], activity: NDArray[np.float64]) -> str:
    """Return the SHA-256 of cells with customers (n,) and their activity (n, 4)."""
    digest = hashlib.sha256(cells12.astype("<u8").tobytes())
    digest.update(activity.astype("<f8").tobytes())
    return digest.hexdigest()
