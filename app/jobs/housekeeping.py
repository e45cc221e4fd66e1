"""What is no longer needed and nobody removes at once: old answers, files, reports, inputs."""

from app.db.session import Database
from app.http.idempotency import remove_old_answers
from app.jobs.leftovers import forget_inputs, forget_reports, forget_uploads
from app.settings import Settings


async def keep_house(database: Database, settings: Settings) -> int:
    """Remove what is no longer needed; return how many rows went."""
    async with database.writing() as session:
        return (
            await remove_old_answers(session)
            + await forget_uploads(session)
            + await forget_inputs(session)
            + await forget_reports(session, settings.keep_reports_days)
        )
