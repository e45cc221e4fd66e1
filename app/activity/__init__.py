"""What customers add up to per cell: work, rollups, history."""

from app.activity.days import local_date, turn_day
from app.activity.rollup import fold, snapshot
from app.activity.work import refresh_work, take_over

__all__ = ["fold", "local_date", "refresh_work", "snapshot", "take_over", "turn_day"]
