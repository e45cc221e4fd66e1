"""What endpoints ask of the application: its settings and its database.

Dependencies are coroutines, also where they wait for nothing: the framework runs any other in a
thread, which costs more than most of them do.
"""

from typing import Annotated

from fastapi import Depends, Request

from app.db.session import Database
from app.settings import Settings


def settings_of(request: Request) -> Settings:
    """Return the settings the application was made with."""
    settings: Settings = request.app.state.settings
    return settings


def database_of(request: Request) -> Database:
    """Return the application's database."""
    database: Database = request.app.state.database
    return database


def base_address(request: Request) -> str:
    """Return what absolute addresses of ours begin with, without a slash at the end.

    The name in the header Host is the caller's word; behind a proxy, settings know better.
    """
    return (settings_of(request).public_url or str(request.base_url)).rstrip("/")


async def _settings(request: Request) -> Settings:
    return settings_of(request)


async def _database(request: Request) -> Database:
    return database_of(request)


AppSettings = Annotated[Settings, Depends(_settings)]
AppDatabase = Annotated[Database, Depends(_database)]
