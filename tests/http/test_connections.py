"""Connections that never finish the head of a request."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from app.http import connections
from app.http.connections import LARGEST_HEAD_BYTES, BoundedProtocol

HELLO = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


async def _hello(scope: dict[str, object], receive: object, send: object) -> None:
    assert callable(send)
    assert callable(receive)
    if scope["type"] != "http":
        return
    message = {"more_body": True}
    length = 0
    while message["more_body"]:
        message = await receive()
        length += len(message.get("body", b""))
        message.setdefault("more_body", False)
    body = b"%d" % length
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A server whose application tells the length of each body."""
    async with serving(_hello) as port:
        yield port


@asynccontextmanager
async def serving(application: object, most: int | None = None) -> AsyncIterator[int]:
    """Serve an application on loopback; give its port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            application,  # type: ignore[arg-type]
            http=BoundedProtocol, log_config=None, lifespan="off", limit_concurrency=most,
        )  # fmt: skip
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        await running


async def _talk(port: int, *pieces: bytes, pause_s: float = 0.0) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause_s)
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionError:
        return b""
    finally:
        writer.close()


async def test_requests_on_one_connection_are_answered_one_after_the_other(port: int) -> None:
    body = b"x" * (4 * LARGEST_HEAD_BYTES)
    post = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)

    answer = await _talk(port, post + body, HELLO + b"\r\n", HELLO + b"Connection: close\r\n\r\n")

    assert answer.count(b"HTTP/1.1 200") == 3
    assert b"\r\n\r\n%d" % len(body) in answer


async def test_one_connection_too_many_is_told_when_to_come_again() -> None:
    async with serving(_hello, most=3) as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        refused = await _talk(port, HELLO + b"\r\n")
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        answer = await _talk(port, HELLO + b"Connection: close\r\n\r\n")

    head, _, body = refused.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503")
    assert b"retry-after: 2" in head.lower()
    assert b"x-content-type-options: nosniff" in head.lower()
    assert json.loads(body)["type"] == "/problems/busy"
    assert answer.startswith(b"HTTP/1.1 200")


async def test_headers_without_an_end_are_refused(port: int) -> None:
    header = b"X-Long: " + b"x" * 2**15

    answer = await _talk(port, HELLO, header, header, header)

    assert answer.startswith(b"HTTP/1.1 400") or answer == b""
    assert b"HTTP/1.1 200" not in answer


async def test_headers_that_trickle_in_are_cut_off(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.3)
    started = time.monotonic()

    answer = await _talk(
        port, *(b"GET / HTTP/1.1\r\n", *(b"X: y\r\n" for _ in range(30))), pause_s=0.05
    )

    assert answer == b""
    assert time.monotonic() - started < 4


CHUNKED = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_trailers_are_not_taken_for_headers(port: int) -> None:
    trailers = b"".join(b"X-Trailer: %d\r\n" % number for number in range(2000))

    answer = await _talk(
        port,
        CHUNKED + b"1\r\nx\r\n0\r\n" + trailers + b"\r\n",
        HELLO + b"Connection: close\r\n\r\n",
    )

    assert answer.count(b"HTTP/1.1 200") == 2


async def test_a_body_that_nobody_waits_for_does_not_keep_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "HEAD_WITHIN_S", 0.3)

    async def refuse(scope: dict[str, object], receive: object, send: object) -> None:
        assert callable(send)
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with serving(refuse) as port:
        started = time.monotonic()
        head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        answer = await _talk(port, head, *[b"x"] * 20, pause_s=0.05)

    assert answer.startswith(b"HTTP/1.1 401") or answer == b""
    assert time.monotonic() - started < 4
