"""A clock that tests step."""

from datetime import UTC, datetime, timedelta


class SteppedClock:
    """An application's clock that goes forward only when told to. It begins now, since the database's clock runs."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def text(self, **later: float) -> str:
        return (self.now + timedelta(**later)).isoformat().replace("+00:00", "Z")

    def step(self, **amount: float) -> None:
        self.now += timedelta(**amount)
