"""The built map page: files with hashed names never change, the page itself is always asked for."""

from os import PathLike, stat_result
from pathlib import Path

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import NotModifiedResponse, StaticFiles
from starlette.types import Receive, Scope, Send

# MapLibre needs blob workers; scripts and styles come from here only.
CONTENT_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; style-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class WholeFile(FileResponse):
    """A file that is never given in parts: the page's are small, and asked for by browsers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


class PageFiles(StaticFiles):
    """The page's files; those in `assets/` have a hash in their names and never change."""

    def __init__(self, folder: Path, *, are_hashed: bool) -> None:
        super().__init__(directory=folder)
        lasting = "public, max-age=31536000, immutable"
        self._caching = lasting if are_hashed else "no-cache"

    def file_response(
        self,
        full_path: str | PathLike[str],
        stat_result: stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """Return a file with its cache and security headers."""
        headers = {"Accept-Ranges": "none"}
        response: Response = WholeFile(full_path, status_code, headers, stat_result=stat_result)
        if self.is_not_modified(response.headers, Headers(scope=scope)):
            response = NotModifiedResponse(response.headers)
        response.headers["Cache-Control"] = self._caching
        response.headers["Content-Security-Policy"] = CONTENT_POLICY
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def add_page(app: FastAPI, folder: Path) -> None:
    """Serve the page at `/` and its files at `/assets`.

    Not the folder as a whole at `/`: it would answer for every unknown address of the API.
    """
    files = PageFiles(folder, are_hashed=False)

    async def map_page(request: Request) -> Response:
        return await files.get_response("index.html", request.scope)

    app.add_route("/", map_page, methods=["GET"], include_in_schema=False)
    app.mount("/assets", PageFiles(folder / "assets", are_hashed=True), name="assets")
