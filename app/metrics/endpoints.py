"""Metrics over HTTP."""

from fastapi import Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from app.auth import Observer
from app.http.routing import router
from app.metrics.gauges import DomainGauges

routes = router("service", prefix="")


class MetricsResponse(Response):
    """The text form of Prometheus, version 0.0.4."""

    media_type = CONTENT_TYPE_PLAIN_0_0_4


@routes.get("/metrics", response_class=MetricsResponse)
async def get_metrics(request: Request, caller: Observer) -> Response:
    """Return counters of this process and gauges of the data; each API process has its own.

    Give the watcher a key of the role viewer with the scope `metrics` alone.
    """
    gauges: DomainGauges = request.app.state.gauges
    await gauges.refresh()
    return MetricsResponse(generate_latest(request.app.state.metrics.registry))
