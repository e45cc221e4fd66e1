"""`assess`: the scores of an alignment that was not searched for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from balancing.component import Found
from balancing.errors import ParameterError
from balancing.instance import Instance
from balancing.layout import lay_out
from balancing.parameters import Parameters
from balancing.result import Result
from balancing.scoring import score
from balancing.solve import check_fit
from balancing.verify import verify


def assess(
    instance: Instance, parameters: Parameters, alignment: ArrayLike, seed: int = 0
) -> Result:
    """Return what `design` says of its own plans, for a given one.

    Parameters
    ----------
    instance, parameters
        As `design` takes them.
    alignment
        (n_units,) whole numbers: the territory of each unit, every territory connected.
    seed
        Only noted.

    Raises
    ------
    ParameterError
        As `design` does, and if the alignment is not one territory per unit.
    VerificationError
        If a territory is in several pieces, or without a unit.
    """
    check_fit(instance, parameters, seed)
    owners = np.asarray(alignment)
    if owners.shape != (instance.n_units,) or owners.dtype.kind not in "iu":
        message = f"the alignment must be {instance.n_units} whole numbers, one per unit"
        raise ParameterError(message, field="alignment")
    if owners.size and not 0 <= owners.min() <= owners.max() < parameters.n_territories:
        message = f"the alignment must name territories 0 to {parameters.n_territories - 1}"
        raise ParameterError(message, field="alignment")
    owners = owners.astype(np.int32)
    layout = lay_out(instance, parameters, owners)
    found = [Found(owners, 1, None)]
    result = score(instance, parameters, layout, owners, seed, found, is_cancelled=False)
    verify(instance, result, parameters)
    return result
