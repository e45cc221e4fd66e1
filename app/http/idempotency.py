"""Requests that may be repeated: the first answer is kept with its effect and given again.

After the `Idempotency-Key` header of the IETF's HTTPAPI working group (draft 07): the key belongs
to its caller, and to one request by the digest of its method, address and body.
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import CursorResult, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from starlette.requests import Request
from starlette.responses import Response

from app.db.session import WriteSession
from app.db.tables import IdempotencyKey
from app.errors import Fault, InvalidInput, MalformedRequest

HEADER = "Idempotency-Key"
KEPT_HOURS = 24
ACCEPTABLE_KEY = re.compile(r"[\x21-\x7e]{1,255}")
# Headers that belong to the answer; the others are made anew for each response.
KEPT_HEADERS = ("content-type", "location", "etag")


class AlreadyAnswered(Exception):
    """The request was answered before; the answer is given once more."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered before")
        self.response = response


@dataclass(frozen=True, slots=True)
class Claim:
    """A key taken by this request, in its transaction."""

    session: WriteSession
    caller: str
    key: str

    async def keep(self, response: Response) -> None:
        """Store the answer, to be committed with what the request has done."""
        headers = {
            name: response.headers[name] for name in KEPT_HEADERS if name in response.headers
        }
        await self.session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.caller == self.caller, IdempotencyKey.key == self.key)
            .values(status=response.status_code, headers=headers, body=bytes(response.body))
        )


def key_of(request: Request) -> str | None:
    """Return the key of a POST, if it has one.

    Raises
    ------
    MalformedRequest
        When it is empty, too long or not printable ASCII, or given twice.
    """
    given = request.headers.getlist(HEADER)
    if request.method != "POST" or not given:
        return None
    if len(given) > 1 or not ACCEPTABLE_KEY.fullmatch(given[0]):
        fault = Fault(
            "idempotency-key", "one key of 1 to 255 visible ASCII characters", f"/header/{HEADER}"
        )
        raise MalformedRequest(f"The header {HEADER} cannot be used.", [fault])
    return given[0]


def request_fingerprint(request: Request, content: bytes) -> bytes:
    """Return the SHA-256 of what makes a request this one."""
    digest = hashlib.sha256()
    for part in (request.method, request.url.path, request.url.query):
        digest.update(part.encode() + b"\0")
    digest.update(content)
    return digest.digest()


async def claim_answer(session: WriteSession, caller: str, key: str, fingerprint: bytes) -> Claim:
    """Take a key for this request, waiting for another request that is taking it.

    Raises
    ------
    AlreadyAnswered
        When the same request was answered before.
    InvalidInput
        When the key was used for another request.
    """
    mine = (IdempotencyKey.caller == caller, IdempotencyKey.key == key)
    is_old = IdempotencyKey.created_at < func.now() - _age()
    await session.execute(delete(IdempotencyKey).where(*mine, is_old))
    # The unique index makes a request at the same time wait until this transaction has ended.
    done = await session.execute(
        insert(IdempotencyKey)
        .values(caller=caller, key=key, fingerprint=fingerprint)
        .on_conflict_do_nothing()
        .returning(IdempotencyKey.key)
    )
    if done.first() is not None:
        return Claim(session, caller, key)
    earlier = await session.scalar(select(IdempotencyKey).where(*mine))
    if earlier is None or earlier.fingerprint != fingerprint:
        fault = Fault(
            "idempotency-key-reused", "this key was used for another request", f"/header/{HEADER}"
        )
        raise InvalidInput("A key stands for one request.", [fault])
    raise AlreadyAnswered(_again(earlier))


async def remove_old_answers(session: WriteSession) -> int:
    """Remove the answers that are no longer promised; return how many there were."""
    done = await session.execute(
        delete(IdempotencyKey).where(IdempotencyKey.created_at < func.now() - _age())
    )
    assert isinstance(done, CursorResult)
    return int(done.rowcount)


def _again(earlier: IdempotencyKey) -> Response:
    headers: dict[str, str] = {**earlier.headers, "Idempotency-Replayed": "true"}
    return Response(earlier.body, earlier.status or 200, headers)


def _age() -> Any:
    return text(f"interval '{KEPT_HOURS} hours'")
