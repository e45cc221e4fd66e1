"""Routes that read strictly: unknown query parameters and loose JSON are refused."""

import json
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from app.errors import Fault, UnknownParameter
from app.http.problems import MEDIA_TYPE

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class StrictRequest(Request):
    """A request whose JSON is parsed strictly: no NaN, no Infinity, no overflow."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise json.JSONDecodeError(error.msg, error.doc or "", error.pos) from None


class StrictRoute(APIRoute):
    """A route that refuses query parameters it does not declare."""

    def get_route_handler(self) -> Handler:
        known = query_names(self.dependant)
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            unknown = sorted(set(request.query_params) - known)
            if unknown:
                raise UnknownParameter(
                    f"Not a parameter of this address: {', '.join(unknown)[:200]}.",
                    [
                        Fault("unknown-parameter", "not a parameter here", f"/query/{name[:100]}")
                        for name in unknown[:20]
                    ],
                )
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def query_names(dependant: Dependant) -> set[str]:
    """Return the names of all query parameters of a route and of what it depends on."""
    names = {field.alias for field in dependant.query_params}
    for field in dependant.query_params:
        model = field.field_info.annotation
        names |= set(getattr(model, "model_fields", {}))
    for inner in dependant.dependencies:
        names |= query_names(inner)
    return names


def router(tag: str, prefix: str = "/v1") -> APIRouter:
    """Return a strict router of one subject, whose errors are documented as problems."""
    return APIRouter(
        prefix=prefix,
        tags=[tag],
        route_class=StrictRoute,
        responses={
            "4XX": problem_document("Refused, with the reason"),
            "5XX": problem_document("Not answered, with a trace id"),
        },
    )


def problem_document(description: str) -> dict[str, Any]:
    """Return the OpenAPI answer of a problem."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}
