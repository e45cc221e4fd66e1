"""The HTTP application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app import __version__
from app.customers.endpoints import routes as customers
from app.db.session import Database
from app.geofences.endpoints import routes as geofences
from app.heatmap.endpoints import routes as heatmap
from app.http import problems
from app.http.limits import BodyLimitProblems
from app.http.observing import ObservingMiddleware
from app.http.page import add_page
from app.http.problems import Problem
from app.http.service import routes as service
from app.http.streams import StreamSlots
from app.imports.endpoints import routes as imports
from app.jobs.endpoints import routes as runs
from app.layers.endpoints import routes as layers
from app.plans.certificate_endpoints import routes as certificates
from app.plans.endpoints import routes as plans
from app.plans.front_endpoints import routes as fronts
from app.reps.endpoints import routes as reps
from app.search.endpoints import routes as search
from app.settings import Settings
from app.territories.endpoints import routes as territories
from app.tiles.endpoints import routes as tiles

DESCRIPTION = """
Territory design on H3 cells and PostGIS: balanced, contiguous, compact territories; search, heat,
geofences and vector tiles over the same customers.

Coordinates are `lon, lat` in WGS 84; times are RFC 3339 in UTC; errors are problem details
(RFC 9457).
"""

BUILT_PAGE = Path(__file__).parents[1] / "web" / "dist"
SUBJECTS = (
    service,
    customers,
    imports,
    search,
    heatmap,
    tiles,
    layers,
    plans,
    certificates,
    fronts,
    territories,
    geofences,
    reps,
    runs,
)


def create_app(settings: Settings) -> FastAPI:
    """Return the application for these settings; nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.database.close()

    app = FastAPI(
        title="Bailiwick",
        version=__version__,
        description=DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan,
        generate_unique_id_function=operation_id,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = Database.of(settings)
    app.state.stream_slots = StreamSlots(settings.max_event_streams)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    problems.install(app)
    for routes in SUBJECTS:
        # Here and not on the application: its own limit answers outside of our middleware.
        app.include_router(routes, max_body_size=settings.max_body_bytes)
    page = settings.web_folder or BUILT_PAGE
    if page.is_dir():
        add_page(app, page)
    app.add_middleware(BodyLimitProblems)
    app.add_middleware(ObservingMiddleware)
    return app


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; every operation refers to the one schema of problems."""
    document = FastAPI.openapi(app)
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = schema.pop("$defs", {})
    document["components"]["schemas"] |= {"Problem": schema, **inner}
    return document


def operation_id(route: APIRoute) -> str:
    """Name each operation by its function, so that generated clients keep their names."""
    return route.name
