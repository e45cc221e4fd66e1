"""Who calls, in which role, and what they may see."""

from app.auth.caller import Anyone, Caller, Planner, Role
from app.auth.keys import create_key, list_keys, revoke_key

__all__ = ["Anyone", "Caller", "Planner", "Role", "create_key", "list_keys", "revoke_key"]
