"""What a service makes of webhooks: the real inbox, on a database of its own."""

from __future__ import annotations

import logging
import random
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from videoconf.providers import Provider, ProviderPort, WebhookRequest

ORDERS = 6
SEED = 20
EARLIER = timedelta(hours=1)


def attendances(provider: Provider, requests: Sequence[WebhookRequest]) -> Iterator[list[Any]]:
    """Deliver webhooks to a service in several orders, some twice; give what it holds of connections each time."""
    events = [event for request in requests for event in provider.parse_webhook(request)]
    sessions = sorted({event.session_id for event in events if event.session_id is not None})
    created_on = min((event.at for event in events if event.at is not None), default=requests[0].received_at) - EARLIER
    chance = random.Random(SEED)  # noqa: S311  # the same orders in every run
    with tempfile.TemporaryDirectory() as folder, _service(Path(folder)) as service:
        for number in range(ORDERS):
            order = list(requests) if number == 0 else [*requests, *chance.sample(requests, len(requests) // 2)]
            if number:
                chance.shuffle(order)
            yield service(provider, sessions, created_on, order)


@contextmanager
def _service(folder: Path) -> Iterator[Any]:
    # Imported here: a plugin's other tests need neither the server nor the database.
    from sqlalchemy import delete, insert, select

    from videoconf.app import create_app
    from videoconf.attendance.models import AttendeeConnection, AttendeeStream
    from videoconf.db.transactions import read, write
    from videoconf.db.types import db
    from videoconf.hooks import load_plugins
    from videoconf.meetings.models import Meeting
    from videoconf.settings import Secret, Settings
    from videoconf.webhooks.models import WebhookEvent
    from videoconf.webhooks.receive import receive

    settings = Settings(database_url=Secret(f"sqlite:///{folder / 'kit.sqlite'}"))
    with _logging_kept():
        app = create_app(settings, plugins=load_plugins([]), serving=False)

    def deliver(provider: Provider, sessions: Sequence[str], created_on: Any, order: Sequence[WebhookRequest]) -> Any:
        with write() as session:
            for model in (AttendeeConnection, WebhookEvent, Meeting):
                session.execute(delete(model))
            for number, session_id in enumerate(sessions, start=1):
                session.execute(
                    insert(Meeting).values(
                        id=number,
                        meeting_link=f"kit-{number}",
                        tenant="kit",
                        is_ready=True,
                        provider=provider.key,
                        account=provider.account,
                        session_id=session_id,
                        is_scheduled=False,
                        is_archived=False,
                        end_to_end_encryption=False,
                        provider_options={},
                        created_on=created_on,
                        created_by="kit",
                        modified_by="kit",
                    )
                )
        port = ProviderPort(provider)
        for request in order:
            receive(port, request)
        with read() as session:
            rows = session.execute(
                select(AttendeeConnection.__table__).order_by("meeting_id", "connection_id")
            ).mappings()
            people = [{name: value for name, value in row.items() if name != "id"} for row in rows]
            sent = session.execute(
                select(AttendeeStream.__table__).order_by("meeting_id", "connection_id", "stream_id")
            ).all()
            closed = session.execute(select(Meeting.session_id, Meeting.closed_at).order_by(Meeting.id)).all()
        return [*people, *map(tuple, sent), *map(tuple, closed)]

    with app.app_context():
        db.create_all(bind_key=None)  # other applications of the process may have named further databases
        try:
            yield deliver
        finally:
            db.session.remove()
            db.engine.dispose()


@contextmanager
def _logging_kept() -> Iterator[None]:
    """Undo what an application does to the logging of its process: this process is a test run."""
    loggers = [logging.getLogger(), logging.getLogger("videoconf")]
    kept = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, handlers in kept:
            logger.setLevel(level)
            logger.handlers[:] = handlers
