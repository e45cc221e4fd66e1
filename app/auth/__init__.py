"""Who calls, in which role, what they may see, and the transactions opened for them."""

from app.auth.caller import FEWEST_SHOWN, Admin, Anyone, Caller, Detail, Observer, Planner
from app.auth.keys import create_key, list_keys, revoke_key, rotate_key
from app.auth.sessions import Glancing, LateWriting, Reading, SecretWriting, Writing

__all__ = [
    "FEWEST_SHOWN",
    "Admin",
    "Anyone",
    "Caller",
    "Detail",
    "Glancing",
    "LateWriting",
    "Observer",
    "Planner",
    "Reading",
    "SecretWriting",
    "Writing",
    "create_key",
    "list_keys",
    "revoke_key",
    "rotate_key",
]
