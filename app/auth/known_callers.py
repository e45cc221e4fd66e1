"""What credentials stood for a moment ago, so that not every request asks the database.

Kept for seconds only, and dropped at once when the database tells that access has changed. While
nobody listens for that, nothing is kept: a revoked key must not work on.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import structlog
from psycopg import AsyncConnection

from app.auth.caller import Caller

log = structlog.get_logger()

KEPT_S = 5.0
# Each is some hundred bytes; a flood of invented keys must not fill the memory.
MOST_KEPT = 10_000
CHANNEL = "bailiwick_access"
RECONNECT_S = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller | None
    until: float


class KnownCallers:
    """Callers by the digest of their credential; None stands for one that is not valid."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._known: dict[bytes, _Known] = {}
        self._clock = clock
        self._n_changes = 0
        self.is_listening = False

    @property
    def state(self) -> int:
        """A number that changes with each change of access: see `keep`."""
        return self._n_changes

    def find(self, credential: str) -> tuple[Caller | None, bool]:
        """Return the caller and whether the credential is known at all."""
        known = self._known.get(_digest(credential))
        if known is None or known.until <= self._clock():
            return None, False
        return known.caller, True

    def keep(
        self, credential: str, caller: Caller | None, state: int, lasts_s: float | None = None
    ) -> None:
        """Keep what a credential stands for; `state` is from before it was looked up.

        An answer that was on its way while access changed may be the old one: it is not kept.
        """
        if not self.is_listening or state != self._n_changes:
            return
        if len(self._known) >= MOST_KEPT:
            self._known.clear()
        kept_s = KEPT_S if lasts_s is None else min(KEPT_S, lasts_s)
        self._known[_digest(credential)] = _Known(caller, self._clock() + kept_s)

    def forget(self) -> None:
        """Ask again for every credential."""
        self._n_changes += 1
        self._known.clear()

    async def listen(self, conninfo: str) -> None:
        """Forget whenever the database tells that access has changed; runs until cancelled."""
        was_lost = False
        while True:
            try:
                async with await AsyncConnection.connect(
                    conninfo, autocommit=True, application_name="bailiwick-access"
                ) as connection:
                    await connection.execute(f"LISTEN {CHANNEL}".encode())
                    self.forget()
                    self.is_listening, was_lost = True, False
                    async for _ in connection.notifies():
                        self.forget()
            except (psycopg.Error, OSError) as error:
                if not was_lost:
                    log.warning("access_listener_lost", reason=type(error).__name__)
                was_lost = True
            finally:
                self.is_listening = False
                self.forget()
            await asyncio.sleep(RECONNECT_S)


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode("utf-8", "surrogateescape")).digest()
