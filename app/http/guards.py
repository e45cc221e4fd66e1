"""What holds for every address: hosts that are ours, addresses of a sane length, safe headers."""

from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import AddressTooLong, ForeignHost, ForeignOrigin, MalformedRequest, ServiceError
from app.http.problems import service_problem
from app.settings import Settings

LONGEST_ADDRESS = 8192
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
# Asked by whoever looks after the process, on its machine and whatever its names are.
PROBES = ("/livez", "/readyz")

# For answers that are data; the page sets its own policy.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "geolocation=(), camera=(), microphone=()",
    # An answer that says nothing of caching holds what is for this caller only.
    "Cache-Control": "no-store",
}


class Guards:
    """Refuses foreign hosts and endless addresses; puts the headers on every answer."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._hosts = _allowed_hosts(settings)
        # Where no credential is asked for, the browser of whoever looks at a page is one.
        self._trusts_browsers = settings.auth == "off"
        self._origins = frozenset(settings.cors_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_guarded)
        else:
            await service_problem(refusal)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> ServiceError | None:
        if self._trusts_browsers and self._is_from_elsewhere(scope):
            return ForeignOrigin("A page of another origin may not change anything here.")
        if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
            return AddressTooLong(f"Addresses have up to {LONGEST_ADDRESS} bytes.")
        if not _is_text(scope["raw_path"]) or not _is_text(scope["query_string"]):
            return MalformedRequest("The address is not UTF-8.")
        given = Headers(scope=scope).getlist("host")
        if self._hosts is None and len(given) < 2:
            return None
        if len(given) != 1 or not self._is_named(_name_of(given[0]), scope["path"]):
            return ForeignHost("This service does not answer to the name in the header Host.")
        return None

    def _is_named(self, name: str, path: str) -> bool:
        is_probe = path in PROBES and name in LOOPBACK_NAMES
        return self._hosts is None or name in self._hosts or is_probe

    def _is_from_elsewhere(self, scope: Scope) -> bool:
        """Tell whether a page that is not ours asks for a change (Origin, Fetch Metadata)."""
        if scope["method"] in SAFE_METHODS:
            return False
        headers = Headers(scope=scope)
        origin, own = headers.get("origin"), f"{scope['scheme']}://{headers.get('host', '')}"
        if origin is not None:
            return origin != own and origin not in self._origins
        return headers.get("sec-fetch-site", "none") not in ("none", "same-origin")


def _allowed_hosts(settings: Settings) -> frozenset[str] | None:
    """Return the names the service answers to; None for any.

    Without authentication only those of loopback: a page from elsewhere could have its own name
    lead to this machine, and read everything with the browser of whoever looks at it.
    """
    if settings.allowed_hosts:
        return frozenset(name.lower() for name in settings.allowed_hosts)
    return LOOPBACK_NAMES if settings.auth == "off" else None


def _is_text(address: bytes) -> bool:
    """Tell whether a part of an address is UTF-8; else two of them could be read as the same."""
    try:
        (unquote_to_bytes(address) if b"%" in address else address).decode()
    except UnicodeDecodeError:
        return False
    return True


def _name_of(host: str) -> str:
    """Return a host without its port."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()
