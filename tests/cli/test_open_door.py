"""Beyond loopback the service listens only when callers must, and can, show who they are."""

import pytest

from app.auth import create_key
from app.cli.processes import _refuse_open_door
from app.db.session import Database
from app.errors import SetupError
from app.settings import Settings

ISSUER = {"oidc_issuer": "https://login.example.com", "oidc_audience": "bailiwick"}


async def test_with_authentication_off_the_service_does_not_listen_beyond_loopback() -> None:
    with pytest.raises(SetupError, match="loopback only"):
        await _refuse_open_door(Settings(host="0.0.0.0", auth="off", **ISSUER))


async def test_without_a_credential_that_anyone_could_have_the_service_does_not_start(
    settings: Settings, database: Database
) -> None:
    public = settings.model_copy(update={"host": "0.0.0.0", "auth": "on"})

    with pytest.raises(SetupError, match="BAILIWICK_OIDC_ISSUER"):
        await _refuse_open_door(public)

    async with database.writing() as session:
        await create_key(session, "k", "admin")
    await _refuse_open_door(public)


async def test_tokens_of_an_issuer_need_no_key_of_ours() -> None:
    nowhere = "postgresql://nowhere.invalid/nothing"

    await _refuse_open_door(Settings(host="0.0.0.0", database_url=nowhere, **ISSUER))
