"""What can go wrong in the service, in the service's own words.

An error says what happened, with facts. It knows no HTTP status: `app.http.problems` holds the one
table from error to status.
"""

import errno
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


class NotSupported(ServiceError):
    """A part of a standard that is left out on purpose."""

    title = "Not supported"
    code = "not-supported"


class Unauthenticated(ServiceError):
    title = "Authentication required"
    code = "unauthenticated"


class Forbidden(ServiceError):
    title = "Forbidden"
    code = "forbidden"


class PreconditionRequired(ServiceError):
    """A change must say which version it is a change of."""

    title = "Precondition required"
    code = "precondition-required"


class PreconditionFailed(ServiceError):
    """The resource is no longer the version that the caller saw."""

    title = "Precondition failed"
    code = "precondition-failed"


class TooLarge(ServiceError):
    title = "Request too large"
    code = "too-large"


class UnsatisfiableRange(ServiceError):
    """The header Range asks for bytes that a file does not have."""

    title = "Range not satisfiable"
    code = "unsatisfiable-range"


class UnsupportedMedia(ServiceError):
    """The body is of a kind that this address does not read."""

    title = "Unsupported media type"
    code = "unsupported-media-type"


class BodyTooSlow(ServiceError):
    """The client took too long to send what it announced."""

    title = "Request timeout"
    code = "request-timeout"


class AddressTooLong(ServiceError):
    title = "Address too long"
    code = "address-too-long"


class ForeignHost(ServiceError):
    """The request was made for another service."""

    title = "Unknown host"
    code = "unknown-host"


class ForeignOrigin(ServiceError):
    """A page from elsewhere tries to change something with the browser of whoever looks at it."""

    title = "Foreign origin"
    code = "foreign-origin"


class TooManyRequests(ServiceError):
    """The caller has taken its share for now; `wait_s` tells when to ask again."""

    title = "Too many requests"
    code = "too-many-requests"

    def __init__(self, detail: str, wait_s: float = 1.0) -> None:
        super().__init__(detail)
        self.wait_s = wait_s


class Unavailable(ServiceError):
    """A part that the service depends on does not answer now."""

    title = "Temporarily unavailable"
    code = "unavailable"


class DiskFull(Unavailable):
    """There is no room for what should be written; what is stored can be read."""

    title = "Disk full"
    code = "disk-full"


class TooManyConnections(Unavailable):
    """The database takes no more connections."""

    title = "Too many connections"
    code = "too-many-connections"


class Busy(Unavailable):
    """Others are in the way; another try may well succeed."""

    title = "Busy"
    code = "busy"


class ReadOnly(Unavailable):
    """The database takes no writes now, as a standby does."""

    title = "Read-only"
    code = "read-only"


class WorkspaceFull(ServiceError):
    """A computation found no room for its files."""

    title = "Disk full"
    code = "disk-full"


class TookTooLong(Unavailable):
    """The request was given up: it cost more time than one of its kind may."""

    title = "Took too long"
    code = "took-too-long"


def is_disk_full(error: OSError) -> bool:
    """Tell a lack of room, or of what a user may take of it, from other faults of a disk."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


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
