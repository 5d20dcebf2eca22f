"""The inbox, and the webhooks that tests post to it."""

from sqlalchemy import select

from tests.support.service import Answer, credential, now_text
from videoconf.db.transactions import read
from videoconf.webhooks.models import WebhookEvent


def stored(app):
    """Read the inbox: status and body of every event."""
    with app.app_context(), read() as session:
        return session.execute(select(WebhookEvent.status, WebhookEvent.body).order_by(WebhookEvent.id)).all()


def connection(id="fc_1", **members):
    return {"id": id, "created_at": now_text(), "attendee": "ann", "name": "Ann", **members}


def join(service, *, caller=None, **wish):
    """Let a participant join a new meeting; return the meeting's link and the webhook that reports it."""
    caller = caller or service.api
    link = caller.create()
    token = credential(caller.token(link, **wish))
    service.lose()  # what is said of the session alone
    service.fake.join(token)
    [joined] = service.waiting()
    return link, joined


def assert_refused(answer: Answer):
    assert answer.problem == (401, "webhook_rejected")
    assert answer.json["detail"] == answer.json["title"], "one wording for every cause"
    assert "errors" not in answer.json
