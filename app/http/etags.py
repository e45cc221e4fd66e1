"""Versions of a resource: answering 304, and letting only changes of the newest version through.

RFC 9110, sections 8.8.3 and 13.1. A tag is the digest of what the caller would get, so two answers
with one tag are the same bytes' worth, scope included.
"""

import hashlib
from typing import Annotated

from fastapi import Header, Response
from pydantic import BaseModel

from app.errors import Fault, PreconditionFailed, PreconditionRequired

IfMatch = Annotated[str | None, Header(description="The ETag of the version that is to be changed")]
IfNoneMatch = Annotated[str | None, Header(description="The ETag of the version that is known")]

DIGITS = 32
# The tag of what does not exist: no caller can hold it, and `*` must not match it.
NO_ENTITY = ""


def entity_tag(view: BaseModel | bytes) -> str:
    """Return the strong entity tag of a representation, with its quotes."""
    content = view if isinstance(view, bytes) else view.model_dump_json(by_alias=True).encode()
    return f'"{hashlib.sha256(content).hexdigest()[:DIGITS]}"'


def is_known(if_none_match: str | None, etag: str) -> bool:
    """Tell whether `etag`, with its quotes, is among those the caller holds (weak comparison)."""
    if if_none_match is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag in known


def require_match(if_match: str | None, etag: str) -> None:
    """Let a change of the version `etag` through (strong comparison).

    Raises
    ------
    PreconditionRequired
        Without the header: a change could overwrite one that its author never saw.
    PreconditionFailed
        When the header names other versions; the fault gives the newest.
    """
    if if_match is None:
        fault = Fault("required", "send the ETag of the version you have seen", "/header/If-Match")
        raise PreconditionRequired("A change needs the header If-Match.", [fault])
    wanted = {tag.strip() for tag in if_match.split(",")}
    if etag == NO_ENTITY or ("*" not in wanted and etag not in wanted):
        detail = f"the newest version is {etag}" if etag else "there is no version to change"
        fault = Fault("changed", detail, "/header/If-Match")
        raise PreconditionFailed("This has been changed since you have seen it.", [fault])


def tagged(response: Response, view: BaseModel, if_none_match: str | None) -> Response | None:
    """Put the tag of a view on its response; return a 304 when the caller holds it already."""
    etag = entity_tag(view)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    if is_known(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return None
