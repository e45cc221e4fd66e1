"""What stands before every address of `/ogc`: the gate, and a query without surprises.

The parser of CQL2 that tipg has dies on deep parentheses and passes on any function of the
database, so filters are refused before anything reads them. The standard wants 400 for every
parameter that is unknown or wrong, where the rest of the API says 422 for a wrong one.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError

from app.auth import Caller
from app.auth.caller import requires
from app.errors import Fault, Forbidden, InvalidInput, MalformedRequest, NotFound, NotSupported
from app.http.problems import invalid_values
from app.http.routing import StrictRoute, refuse_unknown
from app.ogc.views import VIEWS, View

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

# A rep and a manager see a part of everything, which no view here can tell apart.
MAY_READ = Depends(requires("admin", "planner", "viewer", scope="read"))
Reader = Annotated[Caller, MAY_READ]


class OgcRoute(StrictRoute):
    """A strict route whose refusals are those of OGC API."""

    def check_query(self, request: Request, known: set[str]) -> None:
        """Refuse filters, parameters given twice, and those that the collection does not know.

        Raises
        ------
        NotSupported
            For every parameter whose name begins with `filter`.
        UnknownParameter, MalformedRequest
            For the others.
        """
        counts = Counter(name for name, _ in request.query_params.multi_items())
        filters = sorted(name for name in counts if name.lower().startswith("filter"))
        if filters:
            detail = "Filters (CQL2, OGC API Features Part 3) are not supported here."
            raise NotSupported(detail, [_fault("not-supported", name) for name in filters[:20]])
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            raise MalformedRequest(
                "A parameter is given more than once.",
                [_fault("given-twice", name) for name in twice[:20]],
            )
        view = VIEWS.get(request.path_params.get("collection_id", ""))
        takes_values = view is not None and self.path_format.endswith("/items")
        refuse_unknown(request, known | set(view.filterable if view and takes_values else ()))

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RequestValidationError as error:
                refusal = invalid_values(error.errors())
            except InvalidInput as error:
                refusal = error
            raise MalformedRequest(refusal.detail, refusal.faults)

        return answer


def shown_to(caller: Caller) -> dict[str, View]:
    """Return the collections that a caller may see, by their names."""
    return {
        name: view
        for name, view in VIEWS.items()
        if caller.sees_detail or not view.tells_of_customers
    }


async def view_of(collection_id: str, caller: Reader) -> View:
    """Return the collection of an address.

    Raises
    ------
    NotFound
        When there is none of that name.
    Forbidden
        When it tells of single customers, and the caller may not see them.
    """
    if collection_id not in VIEWS:
        raise NotFound(f"There is no such collection; there are {', '.join(shown_to(caller))}.")
    if collection_id not in shown_to(caller):
        raise Forbidden(f"The role {caller.role} may not see single customers.")
    return VIEWS[collection_id]


def _fault(code: str, name: str) -> Fault:
    return Fault(code, code.replace("-", " "), f"/query/{name[:100]}")
