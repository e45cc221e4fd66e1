"""Keep what a run told, so that whoever follows it can go on where they stopped.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# A trigger and not the code that changes a run: there are many such places, and none can forget.
FUNCTION = """
CREATE FUNCTION record_run_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- The statement that fired this holds the run's row locked until its transaction ends: the
    -- numbers of a run have no gaps, and none becomes visible before a smaller one.
    INSERT INTO run_event (run_id, seq, at, state, phase, progress)
    SELECT NEW.id, coalesce(max(seq), 0) + 1, clock_timestamp(), NEW.state, NEW.phase, NEW.progress
    FROM run_event WHERE run_id = NEW.id;
    RETURN NULL;
END
$$
"""
INSERT_TRIGGER = """
CREATE TRIGGER run_insert_event AFTER INSERT ON run
FOR EACH ROW EXECUTE FUNCTION record_run_event()
"""
# Each heartbeat sets phase and progress, changed or not: that the worker lives is news as well.
UPDATE_TRIGGER = """
CREATE TRIGGER run_update_event AFTER UPDATE OF state, phase, progress ON run
FOR EACH ROW EXECUTE FUNCTION record_run_event()
"""
# Runs of before have one event: how they stand.
EARLIER_RUNS = """
INSERT INTO run_event (run_id, seq, at, state, phase, progress)
SELECT id, 1, coalesce(finished_at, heartbeat_at, created_at), state, phase, progress FROM run
"""


def upgrade() -> None:
    op.create_table(
        "run_event",
        sa.Column("run_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["run.id"], name=op.f("fk_run_event_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "seq", name=op.f("pk_run_event")),
    )
    for statement in (EARLIER_RUNS, FUNCTION, INSERT_TRIGGER, UPDATE_TRIGGER):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER run_update_event ON run")
    op.execute("DROP TRIGGER run_insert_event ON run")
    op.execute("DROP FUNCTION record_run_event()")
    op.drop_table("run_event")
