"""``/events``: what happened, as a log that can be read from any position and waited for."""

from __future__ import annotations

import re
import time
from typing import Any

import marshmallow
from marshmallow import fields
from marshmallow.validate import OneOf, Range

from videoconf.api.authentication import caller, requires
from videoconf.api.failures import fails_with
from videoconf.api.fields import LINK_EXAMPLE, Schema, StrictInteger, Text, UtcTime, documented
from videoconf.api.openapi import Tag
from videoconf.api.permissions import Permission
from videoconf.api.services import services
from videoconf.api.slow_reads import stop_reading
from videoconf.api.smorest import Blueprint
from videoconf.errors import EventCursorExpired, TooManyWaiters
from videoconf.events.log import Read, Wanted, newest_position, read_events, read_events_before
from videoconf.events.types import EventType
from videoconf.events.waiting import LONGEST_SECONDS
from videoconf.events.wire import event_values

blueprint = Blueprint("events", __name__, tag=Tag.EVENTS)

TYPES = [str(type) for type in EventType]
MOST_AT_ONCE = 100
LAST_POSITION = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)
_PATTERN = "^(now|[0-9]{1,19})$"


class Position(fields.String):
    """``now``, or a position: digits."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if value == "now":
            return value
        if isinstance(value, str) and _DIGITS.fullmatch(value) and int(value) <= LAST_POSITION:
            return int(value)
        raise marshmallow.ValidationError("Must be `now`, or the `next` of an earlier answer.")


class EventArgs(Schema):
    """Which events, and for how long to wait for them."""

    after = Position(
        load_default=None,
        metadata=documented(
            "The `next` of the answer before; `now`: from now on. Absent: from the oldest kept.", "0", pattern=_PATTERN
        ),
    )
    before = Position(
        load_default=None,
        metadata=documented(
            "In place of `after`, newest first: the `next` of the answer before; `now`: the newest.", pattern=_PATTERN
        ),
    )
    type = fields.String(load_default=None, validate=OneOf(TYPES), metadata=documented("Only events of this type."))
    meeting_link = Text(max_length=255, load_default=None, metadata=documented("Only events of this meeting."))
    limit = StrictInteger(
        load_default=MOST_AT_ONCE, validate=Range(1, MOST_AT_ONCE), metadata=documented("How many events at most.")
    )
    wait = StrictInteger(
        load_default=0,
        validate=Range(0, LONGEST_SECONDS),
        metadata=documented("For how many seconds to hold an answer without events."),
    )

    @marshmallow.validates_schema
    def check_one_direction(self, data: dict[str, Any], **kwargs: Any) -> None:
        if data["before"] is not None and (data["after"] is not None or data["wait"]):
            raise marshmallow.ValidationError("Give it without after and wait.", "before")


class EventSchema(Schema):
    """What happened to a meeting, an attendee or an archive."""

    id = fields.String(metadata=documented("The same in every delivery: `webhook-id`.", "evt_5d1f0c2be7a94c66b1d03a7f"))
    position = fields.Integer(metadata=documented("Its place in the log; grows, with gaps.", 120345))
    type = fields.String(metadata=documented("What happened.", "attendee.joined", enum=TYPES))
    at = UtcTime(metadata=documented("When it was written to the log."))
    tenant = fields.String(metadata=documented("The tenant of the meeting.", "default"))
    meeting_link = fields.String(metadata=documented("The meeting.", LINK_EXAMPLE))
    ext_id = fields.String(allow_none=True, metadata=documented("Your own id of the meeting.", "lesson-7"))
    sequence = fields.Integer(metadata=documented("Its place among the events of its meeting, without gaps.", 3))
    data = fields.Dict(metadata=documented("The meeting, attendee or archive after the change, as its GET shows it."))


class EventsSchema(Schema):
    """A part of the log."""

    items = fields.List(fields.Nested(EventSchema))
    next = fields.Integer(
        metadata=documented(
            "The `after` of the next call, also of an empty answer. With `before`: the next `before`, or 0 at the"
            " oldest event.",
            120345,
        )
    )


@blueprint.route("/events", methods=["GET"])
@requires(Permission.GET_EVENTS)
@fails_with(EventCursorExpired, TooManyWaiters)
@blueprint.arguments(EventArgs, location="query")
@blueprint.response(200, EventsSchema)
@blueprint.doc(operationId=f"{Tag.EVENTS}.getEvents")
def get_events(args: dict[str, Any]) -> dict[str, Any]:
    """Read the log of events, oldest first.

    Pass `next` as `after` of the next call: no event is missed or repeated. With `wait` the answer is held until there
    is an event. With `before` the newest come first, for people who look at the log. Events are kept for
    `VIDEOCONF_EVENT_RETENTION_DAYS`; an older position is answered with 410.
    """
    if args["before"] is not None:
        before = None if args["before"] == "now" else args["before"]
        found = read_events_before(caller(), Wanted(None, args["type"], args["meeting_link"]), before, args["limit"])
        return {"items": [event_values(event) for event in found.items], "next": found.next}
    after = newest_position() if args["after"] == "now" else args["after"]
    wanted = Wanted(after, args["type"], args["meeting_link"])
    found = read_events(caller(), wanted, args["limit"])
    if args["wait"] and not found.items:
        found = _wait(wanted, found, args["limit"], time.monotonic() + args["wait"])
    return {"items": [event_values(event) for event in found.items], "next": found.next}


def _wait(wanted: Wanted, found: Read, limit: int, until: float) -> Read:
    waiting = services().waiting
    with waiting.place(caller().tenant):
        stop_reading()
        while not found.items and waiting.wait(found.next, until):
            found = read_events(caller(), Wanted(found.next, wanted.type, wanted.meeting_link), limit)
    return found
