"""What can go wrong in the service, in the service's own words.

An error says what happened, with facts. It knows no HTTP status: `app.http.problems` holds the one
table from error to status.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One wrong field or row inside a refused request.

    `pointer` is a JSON pointer (RFC 6901) into the body, or `/query/name`, `/path/name`.
    """

    code: str
    detail: str
    pointer: str | None = None
    row: int | None = None

    def document(self) -> dict[str, str | int]:
        """Return the fault as JSON members, without the empty ones."""
        return {name: value for name, value in asdict(self).items() if value is not None}


class ServiceError(Exception):
    """Base of every expected error; `title` names the kind, `detail` this occurrence."""

    title = "Service error"
    code = "service-error"

    def __init__(self, detail: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = tuple(faults)


class NotFound(ServiceError):
    title = "Not found"
    code = "not-found"


class Conflict(ServiceError):
    """The request is well formed but the present state does not allow it."""

    title = "Conflict"
    code = "conflict"


class InvalidInput(ServiceError):
    """A value is well formed but cannot be accepted."""

    title = "Invalid input"
    code = "invalid-input"


class MalformedRequest(ServiceError):
    """The request itself cannot be understood (bad JSON, bad cursor)."""

    title = "Malformed request"
    code = "malformed-request"


class UnknownParameter(ServiceError):
    title = "Unknown query parameter"
    code = "unknown-parameter"


class Unauthenticated(ServiceError):
    title = "Authentication required"
    code = "unauthenticated"


class Forbidden(ServiceError):
    title = "Forbidden"
    code = "forbidden"


class TooLarge(ServiceError):
    title = "Request too large"
    code = "too-large"


class Unavailable(ServiceError):
    """A part that the service depends on does not answer now."""

    title = "Temporarily unavailable"
    code = "unavailable"


class StaleRun(ServiceError):
    """Another worker holds the run now: this one's results must not be written."""

    title = "Run taken over"
    code = "stale-run"


class RunCancelled(ServiceError):
    """The user asked the run to stop."""

    title = "Run cancelled"
    code = "run-cancelled"


class SetupError(ServiceError):
    """The machine or the settings are not fit to start; the detail says what to do."""

    title = "Set-up problem"
    code = "setup"
