"""What endpoints ask for: settings, database sessions."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Request

from app.db.session import Database, ReadSession, WriteSession
from app.settings import Settings


def settings_of(request: Request) -> Settings:
    """Return the settings the application was made with."""
    settings: Settings = request.app.state.settings
    return settings


def database_of(request: Request) -> Database:
    """Return the application's database."""
    database: Database = request.app.state.database
    return database


async def read_session(request: Request) -> AsyncIterator[ReadSession]:
    """Give the endpoint one read-only snapshot."""
    async with database_of(request).reading() as session:
        yield session


async def write_session(request: Request) -> AsyncIterator[WriteSession]:
    """Give the endpoint a transaction, committed before the answer leaves."""
    async with database_of(request).writing() as session:
        yield session


# scope="function": the transaction ends before the answer is sent, so that an acknowledged change
# is a committed one and a slow client holds no connection.
Reading = Annotated[ReadSession, Depends(read_session, scope="function")]
Writing = Annotated[WriteSession, Depends(write_session, scope="function")]
AppSettings = Annotated[Settings, Depends(settings_of)]
AppDatabase = Annotated[Database, Depends(database_of)]
