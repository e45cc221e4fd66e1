"""How much of the service one caller may take, so that nobody takes it from the others.

Counted per process: two processes let twice as much through.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from limits import parse

from app.errors import TooManyRequests
from app.http.rates import SlidingRate
from app.settings import Settings

CostClass = Literal["read", "write", "heavy"]
HEAVY = {"x-cost-class": "heavy"}
# Its body is a file, which is stored while it arrives.
IS_UPLOAD = "x-upload"
UPLOAD = {**HEAVY, IS_UPLOAD: True}
READING_METHODS = ("GET", "HEAD")


@dataclass(slots=True)
class _Queue:
    """The requests of one caller that are not answered yet."""

    turn: asyncio.Semaphore
    length: int = 0


class Admission:
    """Lets requests in by what their caller has taken already."""

    def __init__(self, settings: Settings) -> None:
        self._rates = {
            "read": SlidingRate(parse(settings.rate_read)),
            "write": SlidingRate(parse(settings.rate_write)),
            "heavy": SlidingRate(parse(settings.rate_heavy)),
            "refused": SlidingRate(parse(settings.rate_refused)),
        }
        self._most_at_once = settings.max_requests_per_caller
        # The last quarter of the pool is never one caller's: its requests wait for each other.
        self._share = settings.pool_size - settings.pool_size // 4
        self._queues: dict[str, _Queue] = {}

    @contextmanager
    def admitted(self, caller: str, cost: CostClass) -> Iterator[asyncio.Semaphore]:
        """Count a request of a caller, from here until it is answered; give the turn it waits for.

        Raises
        ------
        TooManyRequests
            When the caller has too many under way, or had too many lately.
        """
        queue = self._queues.setdefault(caller, _Queue(asyncio.Semaphore(self._share)))
        if queue.length >= self._most_at_once:
            raise TooManyRequests(
                f"{self._most_at_once} requests of this caller are being answered already."
            )
        queue.length += 1
        try:
            self._charge(caller, cost)
            yield queue.turn
        finally:
            queue.length -= 1
            if not queue.length:
                del self._queues[caller]

    def note_refusal(self, address: str) -> None:
        """Count a request without a valid credential.

        Raises
        ------
        TooManyRequests
            When there were too many from this address lately.
        """
        self._charge(address, "refused")

    def _charge(self, who: str, cost: str) -> None:
        rate = self._rates[cost]
        if not rate.take(who):
            detail = f"More than {rate} of the class {cost}; see docs/operations.md."
            raise TooManyRequests(detail, rate.wait_s(who))


def cost_of(method: str, extra: dict[str, object] | None) -> CostClass:
    """Return what a route costs: `heavy` where it says so, else by its method."""
    if extra and extra.get("x-cost-class") == "heavy":
        return "heavy"
    return "read" if method in READING_METHODS else "write"
