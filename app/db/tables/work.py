"""Long tasks, and the files they read and write."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.tables.base import Base, BigInt, Id, Timestamp

RUN_STATES = ("queued", "running", "succeeded", "failed", "cancelled")


class Run(Base):
    """One execution of a long task, as its user sees it.

    `fencing_token` grows each time a worker takes the run; results are written only under the
    token that is current, so a worker that lost the run cannot write.
    """

    __tablename__ = "run"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="state"
        ),
        CheckConstraint("progress >= 0 AND progress <= 1", name="progress"),
        # One active run per layer; imports have no layer and may run side by side.
        Index(
            "uq_run_active_layer",
            "layer_id",
            unique=True,
            postgresql_where=text("state IN ('queued', 'running')"),
        ),
        Index("ix_run_heartbeat", "heartbeat_at", postgresql_where=text("state = 'running'")),
    )

    id: Mapped[Id]
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default="queued")
    layer_id: Mapped[int | None] = mapped_column(ForeignKey("layer.id", ondelete="CASCADE"))
    parameters: Mapped[dict[str, Any]]
    progress: Mapped[float] = mapped_column(server_default="0")
    phase: Mapped[str] = mapped_column(Text, server_default="queued")
    result: Mapped[dict[str, Any] | None]
    error: Mapped[dict[str, Any] | None]
    attempts: Mapped[int] = mapped_column(server_default="0")
    fencing_token: Mapped[int] = mapped_column(BigInteger, server_default="0")
    cancel_requested: Mapped[bool] = mapped_column(server_default="false")
    requested_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Timestamp]
    started_at: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class RunEvent(Base):
    """What a run told at one moment; a trigger on `run` writes these (migration 0003).

    `seq` counts from 1 within the run, in the order in which its changes were committed.
    """

    __tablename__ = "run_event"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    state: Mapped[str] = mapped_column(Text)
    phase: Mapped[str] = mapped_column(Text)
    progress: Mapped[float]


class ImportFault(Base):
    """One refused row of an import, or a problem of the whole file (`row` null)."""

    __tablename__ = "import_fault"
    __table_args__ = (Index("ix_import_fault_run_id", "run_id", "id"),)

    id: Mapped[Id]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    row: Mapped[int | None] = mapped_column(BigInteger)
    field: Mapped[str | None] = mapped_column(Text)
    code: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)


class Upload(Base):
    """A file given to us, kept in chunks: API and worker share no folder."""

    __tablename__ = "upload"

    id: Mapped[Id]
    filename: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[BigInt]
    sha256: Mapped[str] = mapped_column(Text)
    created_at: Mapped[Timestamp]


class UploadChunk(Base):
    """One piece of an upload, in order."""

    __tablename__ = "upload_chunk"

    upload_id: Mapped[int] = mapped_column(
        ForeignKey("upload.id", ondelete="CASCADE"), primary_key=True
    )
    ordinal: Mapped[int] = mapped_column(primary_key=True)
    data: Mapped[bytes] = mapped_column(LargeBinary)


class Artifact(Base):
    """A file that a run made."""

    __tablename__ = "artifact"
    __table_args__ = (Index("uq_artifact_run_id_name", "run_id", "name", unique=True),)

    id: Mapped[Id]
    run_id: Mapped[int] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(Text)
    media_type: Mapped[str] = mapped_column(Text)
    data: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    created_at: Mapped[Timestamp]
