"""How many event streams one process holds open at once."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request

from app.errors import TooManyRequests, Unavailable


class StreamSlots:
    """Places for open streams: each costs a connection of a client and a share of the database."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        # So that one caller leaves some to the others.
        self._most_of_one = max(1, n_slots // 4)
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Hold a place.

        Raises
        ------
        TooManyRequests
            When this caller has a quarter of all.
        Unavailable
            When there is none left.
        """
        if self._taken[caller] >= self._most_of_one:
            raise TooManyRequests(
                f"{self._most_of_one} event streams of this caller are open already; close one, or "
                "ask for the resource itself from time to time."
            )
        if self._taken.total() >= self._n_slots:
            raise Unavailable(
                f"{self._n_slots} event streams are open already; try again, or ask for the "
                "resource itself from time to time."
            )
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            # Counts of callers that have none would be kept for ever.
            self._taken += Counter()


async def take_stream_slot(request: Request) -> AsyncIterator[None]:
    """Hold a place until the last byte of the answer has left, or its client has."""
    slots: StreamSlots = request.app.state.stream_slots
    caller: str = request.state.caller.identity
    with slots.taken(caller):
        yield


StreamSlot = Annotated[None, Depends(take_stream_slot)]
