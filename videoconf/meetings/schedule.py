"""When a scheduled meeting may start."""

from __future__ import annotations

from datetime import datetime

from videoconf.errors import ValidationFailed
from videoconf.providers import Clock


def check_schedule_time(time: datetime | None, clock: Clock) -> None:
    """Check the time of a meeting that is scheduled.

    :raises ValidationFailed: the time is missing, or past.
    """
    if time is None:
        raise ValidationFailed(errors={"scheduleTime": ["A scheduled meeting needs a time."]})
    if time < clock():
        raise ValidationFailed(errors={"scheduleTime": ["Must be in the future."]})
