"""Policies and their versions in the database."""

from typing import Any

from sqlalchemy import func, insert, or_, select, update

from app.db.session import AnySession, WriteSession
from app.db.tables import Layer, Policy, PolicyVersion
from app.errors import Conflict, Fault, InvalidInput, NotFound
from app.policies.parameters import OF_KIND
from app.policies.rules import Rule
from app.policies.schemas import AnyPolicy, PolicyVersionView, PolicyView

CONTENT = ("name", "parameters", "proposal", "enabled")


async def list_policies(
    session: AnySession, layer_id: int | None, with_archived: bool, after: int, limit: int
) -> list[PolicyView]:
    """Return up to `limit` policies, those of a layer and the general ones where it is given.

    A policy names no customer, so every caller sees all.
    """
    statement = select(Policy).where(Policy.id > after).order_by(Policy.id).limit(limit)
    if layer_id is not None:
        statement = statement.where(or_(Policy.layer_id == layer_id, Policy.layer_id.is_(None)))
    if not with_archived:
        statement = statement.where(Policy.archived_at.is_(None))
    return [_view(policy) for policy in await session.scalars(statement)]


async def get_policy(session: AnySession, policy_id: int) -> PolicyView:
    """Return one policy, also an archived one.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    policy = await session.get(Policy, policy_id, populate_existing=True)
    if policy is None:
        raise NotFound(f"There is no policy {policy_id}.")
    return _view(policy)


async def lock_policy(session: WriteSession, policy_id: int) -> PolicyView:
    """Return a policy that nobody else changes until this transaction ends.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    statement = select(Policy.id).where(Policy.id == policy_id).with_for_update()
    await session.execute(statement)
    return await get_policy(session, policy_id)


def refuse_archived(policy: PolicyView) -> None:
    """Refuse a change of what is kept for its history only.

    Raises
    ------
    Conflict
        When the policy is archived.
    """
    if policy.archived_at is not None:
        raise Conflict(f"Policy {policy.id} is archived: make a new one.")


async def get_versions(session: AnySession, policy_id: int) -> list[PolicyVersionView]:
    """Return the versions of a policy, the first one first.

    Raises
    ------
    NotFound
        When it does not exist.
    """
    policy = await get_policy(session, policy_id)
    found = await session.scalars(
        select(PolicyVersion)
        .where(PolicyVersion.policy_id == policy_id)
        .order_by(PolicyVersion.version)
    )
    model = OF_KIND[policy.kind]
    return [
        PolicyVersionView(
            version=row.version,
            name=row.name,
            parameters=model.model_validate(row.parameters),
            proposal=row.proposal,
            enabled=row.enabled,
            made_by=row.made_by,
            made_at=row.made_at,
        )
        for row in found
    ]


async def create_policy(session: WriteSession, body: AnyPolicy, made_by: str) -> int:
    """Insert a policy and its first version; return its id.

    Raises
    ------
    InvalidInput
        When its layer does not exist.
    """
    if body.layer_id is not None:
        await require_layer(session, body.layer_id)
    values = {"kind": body.kind, "layer_id": body.layer_id, **_content(body)}
    policy_id: int = (
        await session.execute(insert(Policy).values(**values).returning(Policy.id))
    ).scalar_one()
    await _keep_version(session, policy_id, 1, body, made_by)
    return policy_id


async def change_policy(
    session: WriteSession, stored: PolicyView, body: AnyPolicy, made_by: str
) -> None:
    """Make a new version of a policy that was locked, where anything differs."""
    if body == stored.body():
        return
    version = stored.version + 1
    values = {"version": version, "updated_at": func.now(), **_content(body)}
    await session.execute(update(Policy).where(Policy.id == stored.id).values(**values))
    await _keep_version(session, stored.id, version, body, made_by)


async def archive_policy(session: WriteSession, policy_id: int) -> None:
    """Take a policy out of use; its versions and what it found stay."""
    values = {"archived_at": func.now(), "updated_at": func.now()}
    await session.execute(update(Policy).where(Policy.id == policy_id).values(**values))


async def rules_of(session: AnySession, layer_id: int) -> list[Rule]:
    """Return what counts on a layer, by id.

    Its own policies of a kind stand in for the general ones, also where they are not enabled: so a
    general one is turned off for one layer.
    """
    found = await list_policies(session, layer_id, with_archived=False, after=0, limit=10_000)
    own = {policy.kind for policy in found if policy.layer_id is not None}
    return [
        rule_of(policy)
        for policy in found
        if policy.enabled and (policy.layer_id is not None or policy.kind not in own)
    ]


def rule_of(policy: PolicyView) -> Rule:
    """Return a policy as the evaluation takes it."""
    return Rule(policy.id, policy.version, policy.kind, policy.parameters, policy.proposal)


async def require_layer(session: AnySession, layer_id: int) -> None:
    """Refuse a layer that is named in a body and does not exist.

    Raises
    ------
    InvalidInput
        Naming the member.
    """
    if await session.scalar(select(Layer.id).where(Layer.id == layer_id)) is None:
        fault = Fault("unknown-layer", f"there is no layer {layer_id}", "/layer_id")
        raise InvalidInput(f"There is no layer {layer_id}.", [fault])


async def _keep_version(
    session: WriteSession, policy_id: int, version: int, body: AnyPolicy, made_by: str
) -> None:
    values = {"policy_id": policy_id, "version": version, "made_by": made_by, **_content(body)}
    await session.execute(insert(PolicyVersion).values(**values))


def _content(body: AnyPolicy) -> dict[str, Any]:
    return body.model_dump(include=set(CONTENT))


def _view(policy: Policy) -> PolicyView:
    names = PolicyView.model_fields.keys() - {"parameters"}
    values: dict[str, Any] = {name: getattr(policy, name) for name in names}
    parameters = OF_KIND[values["kind"]].model_validate(policy.parameters)
    return PolicyView(parameters=parameters, **values)
