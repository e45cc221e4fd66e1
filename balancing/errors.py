"""What can be wrong with what a caller hands in."""

from __future__ import annotations


class BalancingError(Exception):
    """Base of everything this package raises.

    Parameters
    ----------
    message
        What happened, for people.
    **facts
        The same for programs: `field` names the offending argument, `index` the offending
        row in it; further facts depend on the error.
    """

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts

    @property
    def field(self) -> str | None:
        """Name of the offending argument, where one argument is to blame."""
        field = self.facts.get("field")
        return None if field is None else str(field)


class InstanceError(BalancingError):
    """Graph, coordinates or activities do not describe a problem."""


class ParameterError(BalancingError):
    """The wishes are not well formed, or do not fit the instance."""


class VerificationError(BalancingError):
    """A finished plan failed its independent check: a defect of this package."""
