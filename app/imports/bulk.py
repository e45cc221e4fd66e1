"""Many rows for an empty table: its indexes are built when all rows are there.

Kept up row by row they take most of a merge, the more so the larger they grow.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import func, select

from app.db.session import WriteSession
from app.db.tables import Customer

# Fewer rows are merged in a second or two, and nobody has to wait for the table meanwhile.
MANY_ROWS = 100_000
# All but that of the ids; the constraint on external ids has one too.
N_INDEXES = len(Customer.metadata.tables["customer"].indexes) + 1


@asynccontextmanager
async def loading(
    session: WriteSession, n_rows: int, progress: Callable[[float], None]
) -> AsyncIterator[bool]:
    """Set the indexes of customers aside for the block, if that is worth it, and build them after.

    Yields whether it does: then the table is empty, and nobody else's until the transaction ends.
    Readers wait for that as for a busy database. It does not where customers are stored already, or
    where the table is in use now.
    """
    is_aside = n_rows >= MANY_ROWS and bool(await session.scalar(select(func.set_indexes_aside())))
    yield is_aside
    built = 0
    while is_aside and await session.scalar(select(func.build_next_index())) is not None:
        built += 1
        progress(min(built / N_INDEXES, 1.0))
