"""By which program a plan of each origin is made again.

The one place to extend for a new origin: name the module that `run_child` starts on a folder with
what `app.plans.verify_job` writes there, and that leaves what `app.plans.solve` leaves.
"""

MADE_BY = {
    "design": "app.plans.solve",
    "front": "app.plans.solve",
    "rebalance": "app.plans.rebalance",
}
# What somebody did to a plan stands in no request.
BY_HAND = {
    "copy": "It is a copy",
    "split": "Territories were split by hand",
    "merge": "Territories were merged by hand",
    "edit": "Cells were moved by hand",
}


def why_not(origin: str, parent_id: int | None) -> str:
    """Say which plan one stems from that cannot be made again, and what of it cannot."""
    what = BY_HAND.get(origin, f"It was made by {origin}, which keeps no input")
    if parent_id is None:
        return f"{what}; the plan it stems from is gone, so nothing of it can be made again."
    return (
        f"{what}: it stems from plan {parent_id}. What was done to that plan since stands in no "
        f"request and cannot be made again; plan {parent_id} itself can be verified."
    )
