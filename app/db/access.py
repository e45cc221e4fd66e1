"""Which database the settings mean, and as which role each part of the product connects."""

from dataclasses import dataclass

from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.db.cluster import OGC_ROLE, OWNER_ROLE, Cluster
from app.errors import SetupError
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Access:
    """URLs of one database: the application's role, the role that owns the tables, that of `/ogc`.

    Without the last one, on a server of somebody else's, `/ogc` is off.
    """

    url: URL
    owner_url: URL
    is_private: bool
    ogc_url: URL | None = None

    @classmethod
    def of(cls, settings: Settings) -> "Access":
        """Return the access the settings name: a given server, or the private cluster."""
        if settings.database_url is None:
            cluster = Cluster(settings.home)
            urls = [make_url(cluster.url(role)) for role in (OWNER_ROLE, OGC_ROLE)]
            return cls(make_url(cluster.url()), urls[0], True, urls[1])
        url = _with_psycopg(settings.database_url.get_secret_value())
        owner = settings.owner_database_url
        owner_url = url if owner is None else _with_psycopg(owner.get_secret_value())
        ogc = settings.ogc_database_url
        ogc_url = None if ogc is None else _with_psycopg(ogc.get_secret_value())
        return cls(url, owner_url, False, ogc_url)

    @property
    def conninfo(self) -> str:
        """The application's URL in libpq's own form."""
        return _conninfo(self.url)

    @property
    def owner_conninfo_without_password(self) -> str:
        """The owner's URL for a command line, which every user of the machine can read."""
        return _conninfo(self.owner_url.set(password=None))


def _conninfo(url: URL) -> str:
    # Not as a URL: SQLAlchemy writes a space as `+`, which libpq takes for a plus.
    place = url.translate_connect_args(username="user", database="dbname")
    return make_conninfo(**{**place, **url.query})


def _with_psycopg(text: str) -> URL:
    try:
        return make_url(text).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError):
        # The text holds a password, so it is not repeated.
        raise SetupError("The database URL cannot be read: postgresql://user@host/name") from None
