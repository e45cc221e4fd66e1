"""Whatever a client says it has seen last: an event of the run, or malformed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.db.session import Database
from app.errors import MalformedRequest
from app.jobs.events import place_in_events
from app.jobs.queue import enqueue
from tests.fuzz.laws import header_text, law


@pytest.fixture
async def run_id(database: Database) -> int:
    """A run that has told one thing: that it is queued."""
    async with database.writing() as session:
        run = await enqueue(session, "import", {"a": 1}, "me")
        return run.id


nearly = st.sampled_from(["0", "1", "01", "+1", "1 ", "1\n", "٣", "¹", "0000000001"])


@law
@given(header_text | st.integers().map(str) | nearly)
async def test_any_last_event_id_is_an_event_or_malformed(
    database: Database, run_id: int, given_: str
) -> None:
    async with database.reading() as session:
        if given_.isascii() and given_.isdecimal() and len(given_) < 10 and int(given_) <= 1:
            assert await place_in_events(session, run_id, given_) == int(given_)
        else:
            with pytest.raises(MalformedRequest):
                await place_in_events(session, run_id, given_)
