"""The transactions that endpoints ask for; each is opened for a caller who is known.

A write is committed before its answer leaves, so an acknowledged change is a committed one. With an
`Idempotency-Key` the answer is stored in the same transaction as its effect.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

from fastapi import Depends, Request

from app.auth.caller import Caller, caller_of
from app.db.glance import Glance
from app.db.session import ReadSession, WriteSession
from app.errors import Fault, MalformedRequest
from app.http.dependencies import database_of
from app.http.idempotency import HEADER, claim_answer, key_of, request_fingerprint

Known = Annotated[Caller, Depends(caller_of)]
OpenWriting = Callable[[bytes], Awaitable[WriteSession]]


async def read_session(request: Request, caller: Known) -> AsyncIterator[ReadSession]:
    """Give the endpoint one read-only snapshot."""
    async with database_of(request).reading() as session:
        yield session


async def glance_of(request: Request, caller: Known) -> AsyncIterator[Glance]:
    """Give the endpoint a connection for single statements that read."""
    async with database_of(request).glancing() as glance:
        yield glance


async def write_session(request: Request, caller: Known) -> AsyncIterator[WriteSession]:
    """Give the endpoint a transaction, committed before the answer leaves."""
    fingerprint = b""
    if key_of(request) is not None:
        fingerprint = request_fingerprint(request, await request.body())
    async with _writing(request, caller, fingerprint) as session:
        yield session


async def secret_write_session(request: Request, caller: Known) -> AsyncIterator[WriteSession]:
    """Give the endpoint a transaction for an answer that is stored nowhere.

    Raises
    ------
    MalformedRequest
        With an `Idempotency-Key`: to give the answer again, its secret would have to be kept.
    """
    if key_of(request) is not None:
        detail = "the answer holds a secret and is not kept, so it cannot be given again"
        fault = Fault("not-repeatable", detail, f"/header/{HEADER}")
        raise MalformedRequest(f"This address takes no {HEADER}.", [fault])
    async with database_of(request).writing(caller.acting) as session:
        yield session


async def late_write_session(request: Request, caller: Known) -> AsyncIterator[OpenWriting]:
    """Give the endpoint a way to open its transaction once the body has arrived.

    While a gigabyte comes in, no connection is held. The endpoint gives what it made of the body,
    by which a repeated request is known.
    """
    async with AsyncExitStack() as stack:

        async def start(content: bytes) -> WriteSession:
            fingerprint = request_fingerprint(request, content)
            return await stack.enter_async_context(_writing(request, caller, fingerprint))

        yield start


@asynccontextmanager
async def _writing(
    request: Request, caller: Caller, fingerprint: bytes
) -> AsyncIterator[WriteSession]:
    async with database_of(request).writing(caller.acting) as session:
        key = key_of(request)
        if key is not None:
            # Known to the route, which keeps the answer before the transaction ends.
            request.state.claim = await claim_answer(session, caller.identity, key, fingerprint)
        yield session


# scope="function": the transaction ends before the answer is sent, and a slow client holds no
# connection.
Reading = Annotated[ReadSession, Depends(read_session, scope="function")]
Glancing = Annotated[Glance, Depends(glance_of, scope="function")]
Writing = Annotated[WriteSession, Depends(write_session, scope="function")]
SecretWriting = Annotated[WriteSession, Depends(secret_write_session, scope="function")]
LateWriting = Annotated[OpenWriting, Depends(late_write_session, scope="function")]
