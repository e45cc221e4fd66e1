"""A closed loop of clients: each asks again as soon as it is answered.

Plain sockets and httptools, because a comfortable client would take more of the two cores than the
service it measures.
"""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count
from urllib.parse import urlsplit

import httptools
import numpy as np


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    path: str
    method: str = "GET"
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def as_bytes(self, host: str, key: str) -> bytes:
        """Return the request as it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"Authorization: Bearer {key}"] if key else []
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


@dataclass(slots=True)
class Load:
    """What became of the requests: milliseconds, sizes and how many had which status."""

    seconds: float = 0.0
    times_ms: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """Return rate, median and 99th percentile, and the largest answer."""
        p50, p99 = np.percentile(self.times_ms, [50, 99]).tolist()
        return {
            "per_s": round(len(self.times_ms) / self.seconds, 1),
            "p50_ms": round(p50, 2),
            "p99_ms": round(p99, 2),
            "largest_kb": round(max(self.sizes) / 1000, 1),
            "n": len(self.times_ms),
        }


class _Answer:
    """What the parser tells of one answer."""

    def __init__(self) -> None:
        self.size = 0
        self.is_complete = False

    def on_body(self, body: bytes) -> None:
        self.size += len(body)

    def on_message_complete(self) -> None:
        self.is_complete = True


def measure(base: str, asks: list[Ask], seconds: float, clients: int, key: str) -> Load:
    """Ask for a while with some connections kept open, the requests in turn.

    Raises
    ------
    RuntimeError
        When an answer is not a success: a figure of refusals would say nothing.
    """
    load = asyncio.run(_measure(base, asks, seconds, clients, key))
    bad = {status: n for status, n in load.statuses.items() if status >= 400}
    if bad:
        raise RuntimeError(f"{asks[0].path}: answers {bad}")
    return load


async def _measure(base: str, asks: list[Ask], seconds: float, clients: int, key: str) -> Load:
    place = urlsplit(base)
    wire = [ask.as_bytes(place.netloc, key) for ask in asks]
    load, turn = Load(), count()
    began = time.perf_counter()
    until = began + seconds
    host, port = place.hostname or "", place.port or 80
    await asyncio.gather(*(_client(host, port, wire, turn, until, load) for _ in range(clients)))
    load.seconds = time.perf_counter() - began
    return load


async def _client(
    host: str, port: int, wire: list[bytes], turn: "count[int]", until: float, load: Load
) -> None:
    reader, writer = await asyncio.open_connection(host, port, limit=2**20)
    try:
        while time.perf_counter() < until:
            began = time.perf_counter()
            writer.write(wire[next(turn) % len(wire)])
            status, size = await _answer(reader)
            load.times_ms.append((time.perf_counter() - began) * 1000)
            load.sizes.append(size)
            load.statuses[status] = load.statuses.get(status, 0) + 1
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    answer = _Answer()
    parser = httptools.HttpResponseParser(answer)
    while not answer.is_complete:
        part = await reader.read(2**18)
        if not part:
            raise RuntimeError("the service closed the connection")
        parser.feed_data(part)
    return parser.get_status_code(), answer.size
