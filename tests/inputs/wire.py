"""HTTP as a hostile client speaks it: any bytes, sent while the answer is already awaited."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 60.0


@dataclass(frozen=True)
class Answer:
    """What came back, and how long after the first byte was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def document(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def send(
    address: str,
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | Iterable[bytes] = b"",
) -> Answer:
    """Send a request and return its answer, which may come before all of the body is sent.

    Bytes go with their length, pieces go chunked and without one.
    """
    host = urlsplit(address).netloc
    length = (
        f"Content-Length: {len(body)}" if isinstance(body, bytes) else "Transfer-Encoding: chunked"
    )
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", length, "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join([*lines, "", ""]).encode("latin-1")
    name, _, port = host.partition(":")
    with socket.create_connection((name, int(port)), timeout=PATIENCE_S) as connection:
        started = time.perf_counter()
        writer = threading.Thread(target=_write, args=(connection, head, body), daemon=True)
        writer.start()
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        content = response.read()
        seconds = time.perf_counter() - started
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
        writer.join()
    given = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, given, content, seconds)


def _write(connection: socket.socket, head: bytes, body: bytes | Iterable[bytes]) -> None:
    # The server may have answered and gone before it has read everything.
    with suppress(OSError):
        connection.sendall(head)
        if isinstance(body, bytes):
            connection.sendall(body)
            return
        for piece in body:
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")
