"""Drawing many cells beside the requests that need less."""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
# Fewer are drawn in some milliseconds; to hand them to a thread and back makes them late.
MANY_CELLS = 1000


async def apart(n_cells: int, drawing: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Return what a function of so many cells returns, computed in a thread when it takes long."""
    if n_cells < MANY_CELLS:
        return drawing(*args, **kwargs)
    return await asyncio.to_thread(drawing, *args, **kwargs)
