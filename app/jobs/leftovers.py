"""What runs leave in the database: bytes of uploads, signs of life, refused rows, old inputs."""

from sqlalchemy import CursorResult, text

from app.db.session import WriteSession

LEFT_CHUNKS = text("""
    -- Of one run, or of all. An import that succeeds removes its own with its last statement.
    DELETE FROM upload_chunk USING run
    WHERE run.kind = 'import' AND run.state IN ('succeeded', 'failed', 'cancelled')
        AND upload_chunk.upload_id = (run.parameters ->> 'upload_id')::bigint
        AND run.id = coalesce(CAST(:run_id AS bigint), run.id)
""")

# Its end stays: a stream of the run tells it still.
OLD_SIGNS = text("""
    DELETE FROM run_event USING run
    WHERE run.id = run_event.run_id AND run_event.state IN ('queued', 'running')
        AND run.finished_at < now() - make_interval(secs => :age_s)
""")
OLD_FAULTS = text("""
    DELETE FROM import_fault USING run
    WHERE run.id = import_fault.run_id
        AND run.finished_at < now() - make_interval(secs => :age_s)
""")
# A failed import repeats its first faults in its error.
OLD_ERRORS = text("""
    UPDATE run SET error = jsonb_set(error, '{errors}', '[]')
    WHERE kind = 'import' AND finished_at < now() - make_interval(secs => :age_s)
        AND error -> 'errors' <> '[]'
""")
# A plan that is being stored has written to the row of its input.
UNUSED_INPUTS = text("""
    DELETE FROM plan_input
    WHERE used_at < now() - interval '1 hour'
        AND NOT EXISTS (SELECT FROM plan_source WHERE input_sha256 = plan_input.sha256)
""")
SECONDS_PER_DAY = 86_400


async def forget_uploads(session: WriteSession, run_id: int | None = None) -> int:
    """Remove the bytes that a run which is over has left; return how many rows went.

    They hold what was in the file, people included. Without a run, those of all that are over.
    """
    done = await session.execute(LEFT_CHUNKS, {"run_id": run_id})
    assert isinstance(done, CursorResult)
    return int(done.rowcount)


async def forget_reports(session: WriteSession, older_than_days: float) -> int:
    """Remove signs of life and refused rows of runs that ended so long ago; return how many rows.

    Refused rows name people. What a run came to, with its counts, is in its own row and stays.
    """
    n_removed = 0
    for statement in (OLD_SIGNS, OLD_FAULTS, OLD_ERRORS):
        done = await session.execute(statement, {"age_s": older_than_days * SECONDS_PER_DAY})
        assert isinstance(done, CursorResult)
        n_removed += int(done.rowcount)
    return n_removed


async def forget_inputs(session: WriteSession) -> int:
    """Remove the customers that plans were made from of which none is left; return how many."""
    done = await session.execute(UNUSED_INPUTS)
    assert isinstance(done, CursorResult)
    return int(done.rowcount)
