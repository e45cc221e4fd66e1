"""The HTTP application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from app import __version__
from app.api_keys.endpoints import routes as api_keys
from app.audit.endpoints import routes as audit
from app.auth.gate import Gate
from app.customers.endpoints import routes as customers
from app.db.access import Access
from app.db.generation import GenerationReader
from app.db.session import Database
from app.geofences.bulk_endpoints import routes as many_geofences
from app.geofences.endpoints import routes as geofences
from app.heatmap.endpoints import routes as heatmap
from app.http import problems
from app.http.admission import Admission
from app.http.deadlines import ClientDeadlines
from app.http.guards import Guards
from app.http.head import HeadAsGet
from app.http.limits import BodyLimitProblems
from app.http.methods import DocumentedMethods
from app.http.observing import ObservingMiddleware
from app.http.page import add_page
from app.http.problems import Problem
from app.http.request_metrics import RequestMetrics
from app.http.service import routes as service
from app.http.stray_errors import StrayErrors
from app.http.streams import StreamSlots
from app.imports.endpoints import routes as imports
from app.jobs.endpoints import routes as runs
from app.layers.endpoints import routes as layers
from app.layers.named_endpoints import routes as named_accounts
from app.metrics.endpoints import routes as metrics
from app.metrics.gauges import DomainGauges
from app.ogc.endpoints import routes as ogc
from app.ogc.reader import Reader as OgcReader
from app.plans.certificate_endpoints import routes as certificates
from app.plans.diff_endpoints import routes as diffs
from app.plans.edit_endpoints import routes as plan_edits
from app.plans.endpoints import routes as plans
from app.plans.front_endpoints import routes as fronts
from app.plans.life_endpoints import routes as plan_life
from app.plans.rebalance_endpoints import routes as rebalances
from app.plans.report_endpoints import routes as plan_reports
from app.plans.verify_endpoints import routes as verifications
from app.plans.what_if_endpoints import routes as what_ifs
from app.policies.endpoints import routes as policies
from app.reps.endpoints import routes as reps
from app.schedules.endpoints import routes as schedules
from app.search.endpoints import routes as search
from app.settings import Settings
from app.territories.endpoints import routes as territories
from app.tiles.endpoints import routes as tiles
from app.tiles.kept_tiles import KeptTiles
from app.tiles.known_tiles import KnownTiles
from app.tiles.plan_cells import KnownPlans
from app.tiles.pmtiles_endpoints import routes as pmtiles

DESCRIPTION = """
Territory design on H3 cells and PostGIS: balanced, contiguous, compact territories; search, heat,
geofences and vector tiles over the same customers.

Coordinates are `lon, lat` in WGS 84; times are RFC 3339 in UTC; errors are problem details
(RFC 9457).
"""

# Bodies with geometry, or with thousands of places; all others are a few kilobytes in practice.
WITH_GEOMETRY = (plans, geofences, many_geofences, territories, search)
SMALL_BODY_BYTES = 2 * 2**20
CORS_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
CORS_REQUEST_HEADERS = (
    "Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match",
    "If-Range", "Last-Event-ID", "Range", "X-Request-ID",
)  # fmt: skip
CORS_ANSWER_HEADERS = (
    "Accept-Ranges", "Content-Range", "ETag", "Idempotency-Replayed", "Location", "Retry-After",
    "X-Request-ID",
)  # fmt: skip
BUILT_PAGE = Path(__file__).parents[1] / "web" / "dist"
# Those asked most come first: the router looks at one subject after the other.
SUBJECTS = (
    search,
    tiles,
    territories,
    heatmap,
    customers,
    service,
    imports,
    pmtiles,
    layers,
    named_accounts,
    plans,
    certificates,
    diffs,
    plan_life,
    plan_edits,
    fronts,
    rebalances,
    schedules,
    verifications,
    plan_reports,
    what_ifs,
    geofences,
    many_geofences,
    ogc,
    policies,
    reps,
    runs,
    api_keys,
    audit,
    metrics,
)


def create_app(settings: Settings) -> FastAPI:
    """Return the application for these settings; nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        known = app.state.gate.known
        listener = asyncio.create_task(known.listen(Access.of(settings).conninfo))
        yield
        listener.cancel()
        await asyncio.gather(listener, return_exceptions=True)
        await app.state.gate.close()
        await app.state.ogc.close()
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
        # Addresses that do not exist are 404 for everybody; a redirect would say what else does.
        redirect_slashes=False,
    )
    app.state.settings = settings
    app.state.database = Database.of(settings)
    app.state.generations = GenerationReader(app.state.database)
    app.state.known_plans = KnownPlans()
    app.state.kept_tiles = KeptTiles(settings.tile_memory_mb * 1_000_000)
    app.state.ogc = OgcReader.of(settings)
    app.state.gate = Gate(settings, app.state.database)
    app.state.metrics = RequestMetrics()
    app.state.gauges = DomainGauges(app.state.database, app.state.metrics.registry)
    app.state.admission = Admission(settings)
    app.state.stream_slots = StreamSlots(settings.max_event_streams)
    app.openapi = lambda: openapi_document(app)  # type: ignore[method-assign]
    app.state.documented_methods = DocumentedMethods(app)
    problems.install(app)
    app.router.routes.extend(_routes(settings.max_body_bytes))
    page = settings.web_folder or BUILT_PAGE
    if page.is_dir():
        add_page(app, page)
    _add_middleware(app, settings)
    return app


@cache
def _routes(largest_body: int) -> tuple[BaseRoute, ...]:
    """Return the routes of every subject, which the applications of a process share.

    They know nothing of their application, and what the framework learns of each function at its
    first request takes a quarter of a second for all.
    """
    together = APIRouter(generate_unique_id_function=operation_id)
    for routes in SUBJECTS:
        largest = largest_body if routes in WITH_GEOMETRY else SMALL_BODY_BYTES
        # Here and not on the application: its own limit answers outside of our middleware.
        together.include_router(routes, max_body_size=min(largest, largest_body))
    return tuple(together.routes)


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """Wrap the application; what is added last sees a request first."""
    app.add_middleware(KnownTiles)
    app.add_middleware(BodyLimitProblems)
    app.add_middleware(ClientDeadlines, settings=settings)
    app.add_middleware(StrayErrors)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=CORS_METHODS,
            allow_headers=CORS_REQUEST_HEADERS,
            expose_headers=CORS_ANSWER_HEADERS,
            max_age=600,
        )
    app.add_middleware(Guards, settings=settings)
    app.add_middleware(HeadAsGet)
    app.add_middleware(ObservingMiddleware)


def openapi_document(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document; every operation refers to the one schema of problems."""
    document = FastAPI.openapi(app)
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    inner = schema.pop("$defs", {})
    document["components"]["schemas"] |= {"Problem": schema, **inner}
    for operations in document["paths"].values():
        for operation in operations.values():
            _describe_json_as_json(operation)
    return document


def _describe_json_as_json(operation: dict[str, Any]) -> None:
    """Take away what the framework adds to answers that are given as bytes: that they are text."""
    for answer in operation["responses"].values():
        for media_type, content in answer.get("content", {}).items():
            schema = content.get("schema", {})
            if media_type.endswith("json") and len(schema) > 1 and schema.get("type") == "string":
                del schema["type"]


def operation_id(route: APIRoute) -> str:
    """Name each operation by its function, so that generated clients keep their names."""
    return route.name
