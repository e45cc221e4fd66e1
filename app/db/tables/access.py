"""Who may call, what they did, and the answers kept for callers who ask again."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    ForeignKey,
    Index,
    LargeBinary,
    Text,
    cast,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, INT8MULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, Id, Timestamp


class ApiKey(Base):
    """A caller's key, as the SHA-256 of its secret (32 random bytes need no slow hash)."""

    __tablename__ = "api_key"
    __table_args__ = (
        CheckConstraint("role IN ('admin', 'planner', 'manager', 'rep', 'viewer')", name="role"),
        CheckConstraint("role NOT IN ('rep', 'manager') OR rep_id IS NOT NULL", name="rep"),
        CheckConstraint("scopes <@ ARRAY['read', 'write', 'metrics']", name="scopes"),
        Index("ix_api_key_rotated_from_id", "rotated_from_id"),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(Text)
    prefix: Mapped[str] = mapped_column(Text, unique=True)
    sha256: Mapped[bytes] = mapped_column(LargeBinary)
    role: Mapped[str] = mapped_column(Text)
    rep_id: Mapped[int | None] = mapped_column(ForeignKey("rep.id"))
    # What the key may do of what its role may do.
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), server_default="{read,write,metrics}")
    rotated_from_id: Mapped[int | None] = mapped_column(
        ForeignKey("api_key.id", ondelete="SET NULL")
    )
    created_at: Mapped[Timestamp]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    # To the minute: a row is not written for each request.
    last_used_at: Mapped[datetime | None]


class AuditEvent(Base):
    """One change: who, when, what, before and after. Written by triggers, never changed.

    `before` and `after` hold the members that changed; all of them for a created or deleted row.
    """

    __tablename__ = "audit_event"
    __table_args__ = (
        Index("ix_audit_event_entity", "entity", "entity_id", "id"),
        Index("ix_audit_event_actor", "actor", "id"),
        Index("ix_audit_event_at", "at"),
        Index(
            "ix_audit_event_entity_ids",
            "entity_ids",
            postgresql_using="gist",
            postgresql_where=text("entity_ids IS NOT NULL"),
        ),
        Index(
            "ix_audit_event_rare_action",
            "action",
            "id",
            postgresql_where=text("action NOT IN ('insert', 'update')"),
        ),
    )

    id: Mapped[Id]
    # Not the start of the transaction: events of one transaction keep their order in time.
    at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    actor: Mapped[str] = mapped_column(Text)
    role: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[int | None] = mapped_column(BigInteger)
    action: Mapped[str] = mapped_column(Text)
    entity: Mapped[str] = mapped_column(Text)
    entity_id: Mapped[int | None] = mapped_column(BigInteger)
    # Of an import: the rows that are new. Asked about and never shown, for they may be very many.
    entity_ids: Mapped[Any | None] = mapped_column(INT8MULTIRANGE, deferred=True)
    before: Mapped[dict[str, Any] | None]
    after: Mapped[dict[str, Any] | None]

    @classmethod
    def is_of(cls, entity_id: int) -> ColumnElement[bool]:
        """Events of one object of an entity, the import that brought it among them."""
        brought = cls.entity_ids.op("@>")(cast(entity_id, BigInteger))
        return (cls.entity_id == entity_id) | brought


class IdempotencyKey(Base):
    """The answer to a request that its caller may repeat, stored together with its effect."""

    __tablename__ = "idempotency_key"
    __table_args__ = (Index("ix_idempotency_key_created_at", "created_at"),)

    caller: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    # SHA-256 of method, address and body: the same key for another request is a mistake.
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary)
    status: Mapped[int | None]
    headers: Mapped[dict[str, Any]] = mapped_column(server_default="{}")
    body: Mapped[bytes] = mapped_column(LargeBinary, server_default="")
    created_at: Mapped[Timestamp]
