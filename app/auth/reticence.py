"""What callers without the right to detail may not ask for, whatever the answer would be."""

from app.auth.caller import Caller
from app.db.customer_filter import CustomerFilter
from app.errors import Forbidden


def refuse_named_heat(caller: Caller, wanted: CustomerFilter) -> None:
    """Refuse heat of one territory or rep to callers who are not told of a few customers.

    What is left of all territories when one is taken away would tell of a small one.

    Raises
    ------
    Forbidden
        When the caller is one and the filter names a territory or rep.
    """
    if wanted.is_of_territories and caller.fewest_shown > 1:
        raise Forbidden(f"The role {caller.role} may not ask for the heat of a territory or rep.")
