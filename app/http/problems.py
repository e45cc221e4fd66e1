"""Every error as `application/problem+json` (RFC 9457).

`STATUS` is the one table from error to status. Unexpected errors answer an opaque 500 whose trace
id is in the log beside the stack.
"""

import math
from collections.abc import Sequence
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app import errors
from app.errors import Fault, ServiceError
from app.http.idempotency import AlreadyAnswered
from app.http.methods import with_head
from geo.errors import GeoError

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
LONGEST_ECHO = 200
# Nobody reads more; their number is told.
MOST_FAULTS = 100

STATUS: dict[type[ServiceError], int] = {
    errors.MalformedRequest: 400,
    errors.UnknownParameter: 400,
    errors.NotSupported: 400,
    errors.ForeignHost: 400,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.ForeignOrigin: 403,
    errors.NotFound: 404,
    errors.BodyTooSlow: 408,
    errors.Conflict: 409,
    errors.PreconditionFailed: 412,
    errors.TooLarge: 413,
    errors.AddressTooLong: 414,
    errors.UnsupportedMedia: 415,
    errors.UnsatisfiableRange: 416,
    errors.InvalidInput: 422,
    errors.PreconditionRequired: 428,
    errors.TooManyRequests: 429,
    errors.Unavailable: 503,
}
HEADERS: dict[type, dict[str, str]] = {
    errors.Unauthenticated: {"WWW-Authenticate": "Bearer"},
    # The rest of the body must not be taken for the next request.
    errors.BodyTooSlow: {"Connection": "close"},
    errors.Unavailable: {"Retry-After": "2"},
    # Somebody has to make room first.
    errors.DiskFull: {"Retry-After": "30"},
}


class ProblemFault(BaseModel):
    """One wrong field or row."""

    code: str
    detail: str
    pointer: str | None = Field(default=None, description="JSON pointer into the body or query")
    row: int | None = None


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = Field(examples=["/problems/invalid-input"])
    title: str = Field(examples=["Invalid input"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["The request has 1 wrong value."])
    errors: list[ProblemFault] = []
    trace_id: str = Field(examples=["7f6a3c1e9b2d4a55"])


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(GeoError, _geo_error)
    app.add_exception_handler(AlreadyAnswered, _already_answered)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected_error)


def problem_response(
    status: int,
    code: str,
    title: str,
    detail: str,
    faults: tuple[Fault, ...] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return a problem as a response."""
    problem = Problem(
        type=f"/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        errors=[
            ProblemFault(code=f.code, detail=f.detail, pointer=f.pointer, row=f.row) for f in faults
        ],
        trace_id=structlog.contextvars.get_contextvars().get("request_id", ""),
    )
    body = orjson.dumps(problem.model_dump(exclude_none=True))
    return Response(body, status, headers, media_type=MEDIA_TYPE)


def service_problem(error: ServiceError) -> Response:
    """Return an expected error as a response."""
    kind = next((kind for kind in type(error).__mro__ if kind in STATUS), None)
    if kind is None:
        return unexpected_problem(error)
    headers = next((HEADERS[kind] for kind in type(error).__mro__ if kind in HEADERS), None)
    if isinstance(error, errors.TooManyRequests):
        headers = {"Retry-After": str(max(1, math.ceil(error.wait_s)))}
    return problem_response(
        STATUS[kind], error.code, error.title, error.detail, error.faults, headers
    )


def unexpected_problem(error: Exception) -> Response:
    """Log an error nobody expected and answer without its text."""
    log.error("unexpected_error", exc_info=error)
    detail = "The service made a mistake; quote the trace id when you report it."
    return problem_response(500, "internal", "Internal error", detail)


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return service_problem(error)


async def _already_answered(request: Request, error: Exception) -> Response:
    assert isinstance(error, AlreadyAnswered)
    return error.response


async def _geo_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GeoError)
    pointer = getattr(error, "pointer", "") or None
    fault = Fault(error.code.replace("_", "-"), error.message, pointer)
    return service_problem(errors.InvalidInput(error.message, [fault]))


async def _unexpected_error(request: Request, error: Exception) -> Response:
    return unexpected_problem(error)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    titles = {
        404: ("not-found", "Not found"),
        405: ("method-not-allowed", "Method not allowed"),
        413: ("too-large", "Request too large"),
    }
    code, title = titles.get(error.status_code, ("http", "Request refused"))
    detail = {
        404: "There is nothing at this address.",
        405: f"This address does not take {request.method}.",
        413: "The body is larger than this address takes.",
    }.get(error.status_code, str(error.detail))
    headers = dict(error.headers) if error.headers else {}
    if error.status_code == 405:
        allowed = request.app.state.documented_methods.at(request.url.path)
        headers["Allow"] = with_head(allowed or headers.get("Allow", ""))
    return problem_response(error.status_code, code, title, detail, headers=headers)


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = list(error.errors())
    if any(item["type"] == "json_invalid" for item in found):
        return service_problem(errors.MalformedRequest("The body is not valid JSON."))
    placed = [{**item, "loc": _without_tags(item["loc"], error.body)} for item in found]
    return service_problem(invalid_values(placed))


def _without_tags(place: Sequence[Any], body: Any) -> tuple[Any, ...]:
    """Return a place without the names of the kinds of a body, of which the caller knows nothing.

    They stand where a member would but are none: what lies behind them is found without.
    """
    first, *rest = place
    kept = [first]
    for nth, part in enumerate(rest, start=1):
        if first == "body" and nth < len(rest) and isinstance(body, dict) and part not in body:
            continue
        kept.append(part)
        body = body.get(part) if isinstance(body, dict) else None
    return tuple(kept)


def invalid_values(found: Sequence[Any]) -> errors.InvalidInput:
    """Return the refusal of what a model found wrong; each place begins with `body` or `query`."""
    faults = tuple(_fault(item) for item in found[:MOST_FAULTS])
    count = f"{len(found)} wrong value" + ("s" if len(found) != 1 else "")
    return errors.InvalidInput(f"The request has {count}.", faults)


def _fault(item: dict[str, Any]) -> Fault:
    place, *rest = item["loc"]
    pointer = "/".join(str(part).replace("~", "~0").replace("/", "~1") for part in rest)
    prefix = "/" if place == "body" else f"/{place}/"
    return Fault(item["type"], _echo(item), prefix + pointer)


def _echo(item: dict[str, Any]) -> str:
    """Say what is wrong and, briefly, what was given; never more than a line of it."""
    given = item.get("input")
    if not isinstance(given, str | int | float | bool):
        return str(item["msg"])
    if isinstance(given, float) and not math.isfinite(given):
        given = str(given)
    return f"{item['msg']} (given: {str(given)[:LONGEST_ECHO]!r})"
