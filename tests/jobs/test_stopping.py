"""A worker that is asked to stop stops, whatever its libraries do with a cancellation."""

import asyncio
from contextlib import suppress

from app.worker import _end


async def test_what_loses_a_cancellation_is_cancelled_again() -> None:
    async def lose_one() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    tasks = [asyncio.create_task(lose_one()) for _ in range(2)]
    await asyncio.sleep(0)

    await asyncio.wait_for(_end(tasks, 0.05), 10)

    assert all(task.cancelled() for task in tasks)


async def test_what_ends_in_time_is_cancelled_once() -> None:
    times = 0

    async def end_slowly() -> None:
        nonlocal times
        while True:
            try:
                await asyncio.sleep(60 if times == 0 else 0.2)
            except asyncio.CancelledError:
                times += 1
            else:
                return

    task = asyncio.create_task(end_slowly())
    await asyncio.sleep(0)

    await asyncio.wait_for(_end([task], 10), 5)

    assert times == 1
