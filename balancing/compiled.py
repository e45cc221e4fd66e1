"""The one place that knows how a kernel becomes machine code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., object])


def compiled(kernel: Kernel) -> Kernel:
    """Compile with numba on first call and cache on disk, keeping the type for mypy.

    No fastmath: the order of floating-point operations is part of the promise that one seed
    gives one plan. The disk cache of a kernel is keyed by its own file only, so after a
    change in a kernel that others call, the cache folder has to be emptied.
    """
    return cast(Kernel, numba.njit(cache=True)(kernel))
