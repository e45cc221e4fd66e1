"""What a run leaves in the database that nothing will read any more: the bytes of its upload."""

from sqlalchemy import CursorResult, text

from app.db.session import WriteSession

LEFT_CHUNKS = text("""
    -- Of one run, or of all. An import that succeeds removes its own with its last statement.
    DELETE FROM upload_chunk USING run
    WHERE run.kind = 'import' AND run.state IN ('succeeded', 'failed', 'cancelled')
        AND upload_chunk.upload_id = (run.parameters ->> 'upload_id')::bigint
        AND run.id = coalesce(CAST(:run_id AS bigint), run.id)
""")


async def forget_uploads(session: WriteSession, run_id: int | None = None) -> int:
    """Remove the bytes that a run which is over has left; return how many rows went.

    They hold what was in the file, people included. Without a run, those of all that are over.
    """
    done = await session.execute(LEFT_CHUNKS, {"run_id": run_id})
    assert isinstance(done, CursorResult)
    return int(done.rowcount)
