"""`bailiwick worker` with one more kind of run: a child that reports progress, slowly."""

import asyncio
import sys

from app import worker
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.settings import load_settings


async def creep(context: RunContext) -> None:
    """Have a child report for as many seconds as the run says."""
    async with work_folder() as folder:
        (folder / "what.txt").write_text("creep")
        (folder / "seconds.txt").write_text(str(context.parameters["seconds"]))
        await run_child(context, "tests.jobs.children", folder, 0.0, 1.0)
    async with context.writing() as session:
        await context.succeed(session, {"answer": 42})


if __name__ == "__main__":
    worker.HANDLERS["creep"] = creep
    asyncio.run(worker.work(load_settings(), once="--once" in sys.argv))
