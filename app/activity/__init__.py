"""What customers add up to per cell: work, rollups, history."""

from app.activity.rollup import fold, snapshot
from app.activity.work import refresh_work

__all__ = ["fold", "refresh_work", "snapshot"]
