"""Certificates over HTTP."""

import zlib
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Header, Response
from fastapi.responses import StreamingResponse

from app.auth import Detail, Reading
from app.http.etags import is_known
from app.http.routing import router
from app.plans.certificate_store import certificate_digest, load_certificate
from app.plans.endpoints import PlanId

routes = router("plans")

MEDIA_TYPE = "application/json"
CACHING = {
    "Cache-Control": "private, max-age=0, must-revalidate",
    "Vary": "Authorization, Accept-Encoding",
}
DESCRIBED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The certificate; docs/certificate.md describes its members",
        "content": {MEDIA_TYPE: {"schema": {"type": "object"}}},
    }
}
GZIP_WITH_HEADER = 16 + zlib.MAX_WBITS
CHUNK_BYTES = 2**16


@routes.get("/plans/{plan_id}/certificate", response_class=Response, responses=DESCRIBED)
async def get_plan_certificate(
    plan_id: PlanId,
    session: Reading,
    caller: Detail,
    accept_encoding: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Return what anyone can check of a plan: `bailiwick-check` does, and so can you.

    It holds the activity of each cell, which can be that of one customer: viewers get 403.
    """
    digest = await certificate_digest(session, caller.scope, plan_id)
    is_compressed = _takes_gzip(accept_encoding)
    # Strong tags differ between encodings (RFC 9110, section 8.8.3.3).
    tag = f'"{digest[:32]}{"-gzip" if is_compressed else ""}"'
    headers = {**CACHING, "ETag": tag}
    if is_known(if_none_match, tag):
        return Response(status_code=304, headers=headers)
    compressed = await load_certificate(session, plan_id)
    if is_compressed:
        headers["Content-Encoding"] = "gzip"
        return Response(compressed, media_type=MEDIA_TYPE, headers=headers)
    return StreamingResponse(_unpacked(compressed), media_type=MEDIA_TYPE, headers=headers)


def _unpacked(compressed: bytes) -> Iterator[bytes]:
    """Yield the document piece by piece: whole, it is some ten times what is stored."""
    unpacking = zlib.decompressobj(GZIP_WITH_HEADER)
    rest = compressed
    while rest:
        yield unpacking.decompress(rest, CHUNK_BYTES)
        rest = unpacking.unconsumed_tail
    yield unpacking.flush()


def _takes_gzip(accepted: str | None) -> bool:
    """Tell whether the caller takes gzip (RFC 9110, section 12.5.3)."""
    for item in (accepted or "").lower().split(","):
        coding, *parameters = (part.strip() for part in item.split(";"))
        if coding in ("gzip", "x-gzip"):
            return not any(part.replace(" ", "").rstrip("0.") == "q=" for part in parameters)
    return False
