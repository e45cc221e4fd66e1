"""The built map page: files with hashed names never change, the page itself is always asked for."""

from collections.abc import MutableMapping
from os import PathLike, stat_result
from typing import Any

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

# MapLibre needs blob workers and inline styles on its own elements; scripts come from here only.
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; "
    "style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class MapPage(StaticFiles):
    """Static files with the right cache headers."""

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: MutableMapping[str, Any],
        status_code: int = 200,
    ) -> Response:
        """Return a file; only what lies in `assets/` has a hash in its name."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        is_hashed = scope["path"].startswith("/assets/")
        lasting = "public, max-age=31536000, immutable" if is_hashed else "no-cache"
        response.headers["Cache-Control"] = lasting
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
