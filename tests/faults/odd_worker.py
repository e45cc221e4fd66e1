"""`bailiwick worker` with runs that go wrong: their child dies or swells, or the worker falls."""

import asyncio
import os
import signal

from app import worker
from app.jobs.child import run_child
from app.jobs.folders import work_folder
from app.jobs.runs import RunContext
from app.settings import load_settings


async def in_child(context: RunContext) -> None:
    """Have a child do what the run says (see tests.jobs.children)."""
    async with work_folder() as folder:
        (folder / "what.txt").write_text(context.parameters["what"])
        await run_child(context, "tests.jobs.children", folder, 0.0, 1.0)
    async with context.writing() as session:
        await context.succeed(session, {"answer": 42})


async def fall(context: RunContext) -> None:
    """Take the worker along."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    worker.HANDLERS.update({"in_child": in_child, "fall": fall})
    asyncio.run(worker.work(load_settings()))
