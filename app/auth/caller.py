"""Who calls, and the dependencies by which an endpoint says who may."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.auth.keys import ALL_SCOPES, LIMITED_ROLES
from app.db.scope import EVERYTHING, Scope
from app.db.session import Acting
from app.errors import Forbidden
from app.settings import Role

READING_METHODS = ("GET", "HEAD")
# Who may see single customers; a viewer sees sums over at least `FEWEST_SHOWN` of them.
DETAIL_ROLES: tuple[Role, ...] = ("admin", "planner", "manager", "rep")
FEWEST_SHOWN = 5

# The route's gate has read the header before; this is for the OpenAPI document.
bearer = HTTPBearer(
    auto_error=False,
    description="An API key (`bailiwick keys create`), or an access token of the OIDC issuer",
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; every repository takes the `scope`.

    `identity` is the same for each request of a caller and never that of another; `may` holds what
    the credential allows of what the role may do.
    """

    name: str
    role: Role
    scope: Scope
    identity: str
    may: frozenset[str] = frozenset(ALL_SCOPES)

    @property
    def sees_detail(self) -> bool:
        """Whether single customers may be shown, and sums over a few of them."""
        return self.role in DETAIL_ROLES

    @property
    def fewest_shown(self) -> int:
        """Of how many customers a sum must be for the caller to be told of it."""
        return 1 if self.sees_detail else FEWEST_SHOWN

    @property
    def acting(self) -> Acting:
        """The caller as the audit names it."""
        request_id = structlog.contextvars.get_contextvars().get("request_id", "")
        # A name that only repeats the identity says nothing more.
        actor = self.identity if self.name in self.identity else f"{self.identity} ({self.name})"
        return Acting(actor=actor, role=self.role, request_id=request_id)


# With BAILIWICK_AUTH=off, which the server accepts on loopback only.
LOCAL_CALLER = Caller("local", "admin", EVERYTHING, "local")


def scope_of(role: Role, rep_ids: tuple[int, ...]) -> Scope:
    """Return what a role sees: everything, or what these reps are responsible for."""
    return Scope(frozenset(rep_ids)) if role in LIMITED_ROLES else EVERYTHING


async def caller_of(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Return the caller that the gate has let in (`app.auth.gate`)."""
    caller: Caller = request.state.caller
    return caller


def requires(*roles: Role, scope: str | None = None) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """Return a dependency that lets only these roles pass, with a credential that allows it.

    Without `scope` the method decides: to read is `read`, all else is `write`.
    """

    async def check(request: Request, caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        if caller.role not in roles:
            raise Forbidden(f"The role {caller.role} may not do this.")
        needed = scope or ("read" if request.method in READING_METHODS else "write")
        if needed not in caller.may:
            raise Forbidden(f"This credential lacks the scope {needed}.")
        return caller

    # The route asks it too, before anything else is done (`app.http.routing`).
    check.decides_who_may = True  # type: ignore[attr-defined]
    return check


# Reading, also where a long question is asked by POST.
Anyone = Annotated[
    Caller, Depends(requires("admin", "planner", "manager", "rep", "viewer", scope="read"))
]
# Reading what tells of single customers.
Detail = Annotated[Caller, Depends(requires(*DETAIL_ROLES, scope="read"))]
Planner = Annotated[Caller, Depends(requires("admin", "planner"))]
Admin = Annotated[Caller, Depends(requires("admin"))]
# Gauges tell of all customers, so they are for roles that see them all.
Observer = Annotated[Caller, Depends(requires("admin", "planner", "viewer", scope="metrics"))]
