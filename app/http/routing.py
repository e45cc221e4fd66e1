"""Routes that read strictly: unknown query parameters and loose JSON are refused."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.convertors import IntegerConvertor, register_url_convertor

from app.errors import (
    Fault,
    TookTooLong,
    Unauthenticated,
    UnknownParameter,
    UnsupportedMedia,
)
from app.http.admission import IS_UPLOAD, Admission, cost_of
from app.http.idempotency import Claim
from app.http.problems import MEDIA_TYPE
from app.http.strict_json import parse_json

LARGE_BODY_BYTES = 2**20


class _NumberOfAnObject(IntegerConvertor):
    """Numbers in addresses, of as many digits as any object can have: more are no address here.

    The framework's own takes any number of digits, and Python refuses to read thousands of them.
    """

    regex = "[0-9]{1,19}"


register_url_convertor("int", _NumberOfAnObject())

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose JSON is parsed strictly, see `app.http.strict_json`."""

    async def read_json(self) -> None:
        """Read and parse the body, for `json` to give.

        Here and not where the framework would: that one knows a single kind of mistake.

        Raises
        ------
        UnsupportedMedia
            When there is a body of another kind.
        MalformedRequest
            When it is not JSON that means one thing.
        """
        body = await self.body()
        if not body:
            return
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            fault = Fault("media-type", "send application/json", "/header/Content-Type")
            raise UnsupportedMedia("This address reads JSON.", [fault])
        # A large one in a thread: others are answered meanwhile.
        is_large = len(body) > LARGE_BODY_BYTES
        self._json = await asyncio.to_thread(parse_json, body) if is_large else parse_json(body)


class StrictRoute(APIRoute):
    """A route that names its caller first, and refuses query parameters it does not declare."""

    has_gate = True

    def check_query(self, request: Request, known: set[str]) -> None:
        """Refuse what the query may not hold; `known` are the parameters that the route declares.

        Raises
        ------
        UnknownParameter
            Naming the first ones.
        """
        refuse_unknown(request, known)

    def get_route_handler(self) -> Handler:
        deciding = [call for call in map(_call_of, self.dependant.dependencies) if _decides(call)]
        known = query_names(self.dependant)
        handle = super().get_route_handler()

        cost = cost_of(min(self.methods or ("GET",)), self.openapi_extra)
        is_upload = bool((self.openapi_extra or {}).get(IS_UPLOAD))
        has_json = self.body_field is not None

        async def read(request: StrictRequest) -> None:
            self.check_query(request, known)
            if has_json:
                await request.read_json()

        async def answer(request: StrictRequest) -> Response:
            response = await handle(request)
            claim: Claim | None = getattr(request.state, "claim", None)
            if claim is not None:
                # The transaction of the endpoint is still open: effect and answer, or neither.
                await claim.keep(response)
            return response

        async def in_turn(request: StrictRequest, turn: asyncio.Semaphore) -> Response:
            async with turn:
                return await answer(request)

        async def strict(request: Request) -> Response:
            strict_request = StrictRequest(request.scope, request.receive)
            if not self.has_gate:
                await read(strict_request)
                return await answer(strict_request)
            # Before anything of the request is read: a stranger is told nothing but to come in.
            admission: Admission = request.app.state.admission
            try:
                caller = await request.app.state.gate(request)
            except Unauthenticated:
                admission.note_refusal(request.client.host if request.client else "")
                raise
            request.state.caller = caller
            # Before any transaction begins, and before an answer is given that was stored.
            for decide in deciding:
                await decide(request, caller)
            with admission.admitted(caller.identity, cost) as turn:
                await read(strict_request)
                if is_upload:
                    # It lasts as long as it flows, and holds up none of the others.
                    return await answer(strict_request)
                answering = in_turn(strict_request, turn)
                # What is known to take long ends with the time limits of its statements.
                return await (answering if cost == "heavy" else in_time(answering, request))

        return strict


async def in_time(answering: Coroutine[Any, Any, Response], request: Request) -> Response:
    """Return the answer if it comes within the time that a request may take.

    Raises
    ------
    TookTooLong
        When it does not; what it has done is undone.
    """
    limit_s: float = request.app.state.settings.request_timeout_s
    try:
        async with asyncio.timeout(limit_s) as deadline:
            return await answering
    except TimeoutError:
        if not deadline.expired():
            raise
        raise TookTooLong(f"This took longer than {limit_s:.0f} seconds; ask for less.") from None


def refuse_unknown(request: Request, known: set[str]) -> None:
    """Refuse query parameters that the route does not declare.

    Raises
    ------
    UnknownParameter
        Naming the first ones.
    """
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        raise UnknownParameter(
            f"Not a parameter of this address: {', '.join(unknown)[:200]}.",
            [
                Fault("unknown-parameter", "not a parameter here", f"/query/{name[:100]}")
                for name in unknown[:20]
            ],
        )


class OpenRoute(StrictRoute):
    """A route for everybody: whether the service lives tells nothing of what it holds."""

    has_gate = False


def _call_of(dependency: Dependant) -> Any:
    return dependency.call


def _decides(call: Any) -> bool:
    """Tell whether a dependency is one by which an endpoint says who may call it."""
    return bool(getattr(call, "decides_who_may", False))


def query_names(dependant: Dependant) -> set[str]:
    """Return the names of all query parameters of a route and of what it depends on."""
    names = {field.alias for field in dependant.query_params}
    for field in dependant.query_params:
        model = field.field_info.annotation
        names |= set(getattr(model, "model_fields", {}))
    for inner in dependant.dependencies:
        names |= query_names(inner)
    return names


def router(tag: str, prefix: str = "/v1", *, is_open: bool = False) -> APIRouter:
    """Return a strict router of one subject, whose errors are documented as problems."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=OpenRoute if is_open else StrictRoute,
        responses={
            "4XX": problem_document("Refused, with the reason"),
            "5XX": problem_document("Not answered, with a trace id"),
        },
    )


def problem_document(description: str) -> dict[str, Any]:
    """Return the OpenAPI answer of a problem."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}
