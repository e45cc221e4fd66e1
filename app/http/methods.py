"""Which methods an address takes: the framework names those of the first route that fits only."""

import re
from functools import cached_property

from fastapi import FastAPI

OPERATIONS = ("get", "put", "post", "patch", "delete")
# An id holds no colon, for what follows one is an action; an external id may hold anything.
PLACES = re.compile(r"\\\{(\w+)\\\}")
ANYTHING = "external_id"


class DocumentedMethods:
    """The methods of each address, by the application's own description."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def at(self, path: str) -> str:
        """Return the methods of an address as the header `Allow` lists them; empty when none."""
        if path in self._methods:
            return ", ".join(self._methods[path])
        found = {
            method
            for pattern, methods in self._patterns
            for method in methods
            if pattern.fullmatch(path)
        }
        return ", ".join(sorted(found))

    @cached_property
    def _methods(self) -> dict[str, list[str]]:
        paths = self._app.openapi()["paths"]
        return {
            path: sorted(name.upper() for name in OPERATIONS if name in operations)
            for path, operations in paths.items()
        }

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], list[str]]]:
        return [(_pattern(path), methods) for path, methods in self._methods.items()]


def with_head(allowed: str) -> str:
    """Return the methods of a header `Allow` with HEAD, which goes wherever GET does."""
    methods = set(filter(None, allowed.split(", ")))
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _pattern(path: str) -> re.Pattern[str]:
    def place(found: re.Match[str]) -> str:
        return ".+" if found[1] == ANYTHING else "[^/:]+"

    return re.compile(PLACES.sub(place, re.escape(path)))
