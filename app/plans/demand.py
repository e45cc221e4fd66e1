"""What the customers of a layer ask of a plan."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.plans.digest import input_digest


@dataclass(frozen=True, slots=True)
class Demand:
    """Cells with customers (n,) and their activity (n, 4), as `app.plans.solve` reads them."""

    cells12: NDArray[np.uint64]
    activity: NDArray[np.float64]

    @property
    def digest(self) -> str:
        """SHA-256 of the input, for the manifest."""
        return input_digest(self.cells12, self.activity)
