"""What is no longer needed and nobody removes at once: old answers, files of runs that are over."""

from app.db.session import Database
from app.http.idempotency import remove_old_answers
from app.jobs.leftovers import forget_uploads


async def keep_house(database: Database) -> int:
    """Remove what is no longer needed; return how many rows went."""
    async with database.writing() as session:
        return await remove_old_answers(session) + await forget_uploads(session)
