"""The dependency that names the caller of a request."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.auth.keys import KeyHolder, find_key
from app.db.scope import EVERYTHING, Scope
from app.errors import Forbidden, Unauthenticated
from app.http.dependencies import database_of, settings_of

Role = Literal["admin", "planner", "manager", "rep", "viewer"]
LIMITED_ROLES = ("manager", "rep")

bearer = HTTPBearer(auto_error=False, description="An API key: `bailiwick keys create`")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; every repository takes the `scope`."""

    name: str
    role: Role
    scope: Scope


# With BAILIWICK_AUTH=off, which the server accepts on loopback only.
LOCAL_CALLER = Caller("local", "admin", EVERYTHING)


async def caller_of(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> Caller:
    """Return the caller that the API key of the request stands for.

    Raises
    ------
    Unauthenticated
        Without a key, or with one that is unknown, expired or revoked.
    """
    if settings_of(request).auth == "off":
        return LOCAL_CALLER
    if credentials is None:
        raise Unauthenticated("Send an API key: Authorization: Bearer bw_…")
    async with database_of(request).reading_aside() as session:
        holder = await find_key(session, credentials.credentials)
    if holder is None:
        raise Unauthenticated("This API key is not valid.")
    return _caller(holder)


def requires(*roles: Role) -> Callable[..., Coroutine[Any, Any, Caller]]:
    """Return a dependency that lets only these roles pass."""

    async def check(caller: Annotated[Caller, Depends(caller_of)]) -> Caller:
        if caller.role not in roles:
            raise Forbidden(f"The role {caller.role} may not do this.")
        return caller

    return check


def _caller(holder: KeyHolder) -> Caller:
    limited = holder.role in LIMITED_ROLES
    scope = Scope(frozenset(holder.rep_ids)) if limited else EVERYTHING
    return Caller(holder.name, holder.role, scope)


Anyone = Annotated[Caller, Depends(caller_of)]
Planner = Annotated[Caller, Depends(requires("admin", "planner"))]
