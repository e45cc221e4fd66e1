"""What clients were told, so that it can be compared with what is stored."""

import threading
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Ledger:
    """Acknowledged writes of all clients of one test."""

    # Value of a customer's `potential`: the last one that was answered, and the last one sent.
    acknowledged: dict[str, int] = field(default_factory=dict)
    attempted: dict[str, int] = field(default_factory=dict)
    # Names of geofences made with an idempotency key, of which there must be one each.
    fences: set[str] = field(default_factory=set)
    runs: dict[int, str] = field(default_factory=dict)
    n_writes: int = 0
    n_refused: int = 0
    surprises: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def attempt(self, external_id: str, value: int) -> None:
        self.attempted[external_id] = value

    def acknowledge(self, external_id: str, value: int) -> None:
        self.acknowledged[external_id] = value
        self._count()

    def acknowledge_fence(self, name: str) -> None:
        self.fences.add(name)
        self._count()

    def acknowledge_run(self, run_id: int, kind: str) -> None:
        self.runs[run_id] = kind
        self._count()

    def refuse(self) -> None:
        self.n_refused += 1

    def surprise(self, what: Any) -> None:
        """Note an answer that no fault excuses."""
        self.surprises.append(str(what))

    def _count(self) -> None:
        with self._lock:
            self.n_writes += 1
