"""Policies: what is watched for in territories, told once while it lasts, tried on history.

`evaluate_layer` is for jobs, in one transaction of theirs. Whoever has seconds to wait for facts
uses `look` in a session that reads and then `remember` in one that writes.
"""

from app.policies.alerts import unresolved
from app.policies.change import change_between
from app.policies.facts import Seen
from app.policies.months import month_before
from app.policies.service import evaluate_layer, look, remember

__all__ = [
    "Seen",
    "change_between",
    "evaluate_layer",
    "look",
    "month_before",
    "remember",
    "unresolved",
]
