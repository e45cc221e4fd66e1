"""How much somebody had lately, without a lock, a thread or a store: one process, one event loop.

The storage in memory that the library `limits` has starts a thread for each request.
"""

import time
from collections.abc import Callable

from limits import RateLimitItem


class SlidingRate:
    """Counts by windows of the clock; of the last one as much as still lies within the rate's time.

    Only two windows are kept, so whoever stays away is forgotten.
    """

    def __init__(self, rate: RateLimitItem, clock: Callable[[], float] = time.time) -> None:
        self._rate = rate
        self._seconds = rate.get_expiry()
        self._clock = clock
        self._window = 0
        self._now: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def __str__(self) -> str:
        return str(self._rate)

    def take(self, who: str) -> bool:
        """Count one more; tell whether that is within the rate, else it is not counted."""
        window, into = divmod(self._clock() / self._seconds, 1)
        if window != self._window:
            is_next = window == self._window + 1
            self._before, self._now = self._now if is_next else {}, {}
            self._window = int(window)
        n = self._now.get(who, 0)
        if int(self._before.get(who, 0) * (1 - into)) + n >= self._rate.amount:
            return False
        self._now[who] = n + 1
        return True

    def wait_s(self, who: str) -> float:
        """Return after how many seconds one more is within the rate, if none comes in between."""
        into = self._clock() / self._seconds % 1
        room = self._rate.amount - self._now.get(who, 0)
        if room <= 0:
            return (1 - into) * self._seconds
        lately = self._before.get(who, 0)
        return max(0.0, 1 - room / lately - into) * self._seconds if lately else 0.0
