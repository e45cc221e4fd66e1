"""What this process has answered, counted by route template: never by address, name or id."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From what a cached tile takes to what a request may take at all.
BUCKETS_S = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
NO_ROUTE = "none"


class RequestMetrics:
    """Counters of one application; each has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "bailiwick_http_requests", "Requests answered", ("method", "route", "status"),
            registry=self.registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "bailiwick_http_request_seconds", "Time to the end of the answer", ("route",),
            buckets=BUCKETS_S, registry=self.registry,
        )  # fmt: skip
        self.in_flight = Gauge(
            "bailiwick_http_requests_in_flight", "Requests being answered", registry=self.registry
        )

    def note(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count a request that is over; status 0 is a client that went away before its answer."""
        place = route or NO_ROUTE
        # A method that nobody knows would be a label of the caller's making.
        known = method if method in KNOWN_METHODS else "other"
        self._requests.labels(known, place, str(status) if status else "gone").inc()
        self._seconds.labels(place).observe(seconds)


KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
