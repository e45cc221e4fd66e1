"""Which database the settings mean, and as which role each part of the product connects."""

from dataclasses import dataclass

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.db.cluster import OWNER_ROLE, Cluster
from app.errors import SetupError
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Access:
    """URLs of one database: the application's role, and the role that owns the tables."""

    url: URL
    owner_url: URL
    is_private: bool

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        """Return the access the settings name: a given server, or the private cluster."""
        if settings.database_url is None:
            cluster = Cluster(settings.home)
            return cls(make_url(cluster.url()), make_url(cluster.url(OWNER_ROLE)), True)
        url = _with_psycopg(settings.database_url.get_secret_value())
        owner = settings.owner_database_url
        owner_url = url if owner is None else _with_psycopg(owner.get_secret_value())
        return cls(url, owner_url, False)

    @property
    def conninfo(self) -> str:
        """The application's URL in libpq's own form."""
        # Not as a URL: SQLAlchemy writes a space as `+`, which libpq takes for a plus.
        place = self.url.translate_connect_args(username="user", database="dbname")
        return make_conninfo(**{**place, **self.url.query})


def _with_psycopg(text: str) -> URL:
    try:
        return make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        # The text holds a password, so it is not repeated.
        raise SetupError("The database URL cannot be read: postgresql://user@host/name") from None
