"""How many event streams one process holds open at once."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated

from fastapi import Depends, Request

from app.errors import Unavailable


class StreamSlots:
    """Places for open streams: each costs a connection of a client and a share of the database."""

    def __init__(self, n_slots: int) -> None:
        self._n_slots = n_slots
        self._n_taken = 0

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Hold a place.

        Raises
        ------
        Unavailable
            When there is none left.
        """
        if self._n_taken >= self._n_slots:
            raise Unavailable(
                f"{self._n_slots} event streams are open already; try again, or ask for the "
                "resource itself from time to time."
            )
        self._n_taken += 1
        try:
            yield
        finally:
            self._n_taken -= 1


async def take_stream_slot(request: Request) -> AsyncIterator[None]:
    """Hold a place until the last byte of the answer has left, or its client has."""
    slots: StreamSlots = request.app.state.stream_slots
    with slots.taken():
        yield


StreamSlot = Annotated[None, Depends(take_stream_slot)]
