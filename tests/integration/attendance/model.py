"""A reference model of attendance: worked out from the events themselves, in memory, with neither rows nor merging.

It knows only what was received, and when. Nothing here is shared with the service.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

BELIEVED = timedelta(hours=24 + 48)
"""The fake provider repeats a webhook for 24 hours; clocks may differ by 48."""
OLDEST = timedelta(hours=24)
AHEAD = timedelta(minutes=5)
CAP = timedelta(hours=24)


@dataclass(frozen=True)
class Event:
    """What one event says."""

    kind: str
    at: datetime
    connection: str | None = None
    attendee: str | None = None
    name: str | None = None
    connected_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Receipt:
    """An event's first arrival: only that counts."""

    event: Event
    on: datetime


def credible(receipt, created_on):
    at = receipt.event.at
    return abs(at - receipt.on) <= BELIEVED and at >= created_on - OLDEST


def believed(event, created_on):
    since = event.connected_at
    return since is None or created_on - OLDEST <= since <= event.at + AHEAD


def attendees(receipts, created_on, end_time, now):
    """Return what the list must be, as the API writes it."""
    events = [receipt.event for receipt in receipts if credible(receipt, created_on)]
    events = [event if believed(event, created_on) else replace(event, connected_at=None) for event in events]
    closings = [event.at for event in events if event.kind == "session_closed"] + ([end_time] if end_time else [])
    of_connection = defaultdict(list)
    for event in events:
        if event.kind != "session_closed":
            of_connection[event.connection].append(event)
    people = defaultdict(list)
    for id, told in of_connection.items():
        who = first_said(told, "attendee")
        people[(who or "", "" if who else id)].append(presence(id, told, closings, now))
    found = []
    for (who, anonymous), presences in people.items():
        presences.sort(key=lambda one: (one["joined"] or one["last"], one["id"]))
        joins = [one["joined"] for one in presences if one["joined"]]
        named = [one["named"] for one in presences if one["named"]]
        found.append(
            {
                "key": (min(joins, default=None) or max(one["last"] for one in presences), who, anonymous),
                "attendee": who or None,
                "name": min(named)[1] if named else None,
                "first": min(joins, default=None),
                "last": max(one["last"] for one in presences),
                "presences": presences,
            }
        )
    return sorted(found, key=lambda one: one["key"])


def first_said(events, what):
    said = [(event.at, getattr(event, what)) for event in events if getattr(event, what) is not None]
    return min(said)[1] if said else None


def presence(id, events, closings, now):
    joins = [event.connected_at for event in events if event.connected_at]
    joins += [event.at for event in events if event.kind == "joined" and not event.connected_at]
    signs = [event.at for event in events if event.kind == "activity"]
    leaves = [(event.at, event.reason) for event in events if event.kind == "left"]
    last = max(event.at for event in events)
    left = reason = None
    inferred = False
    if leaves and not any(join > max(at for at, _ in leaves) for join in joins):
        left = max(at for at, _ in leaves)
        reason = min(why or "" for at, why in leaves if at == left) or None
    else:
        there = max(joins) if joins else min(signs)
        ends = [last + CAP] if last + CAP <= now else []
        if closings and max(closings) >= there:
            ends.append(max(closings))
        if ends:
            left, inferred = min(ends), True
    joined = min(joins, default=None)
    join_inferred = False
    if not joins and signs and (left is None or min(signs) <= left):
        joined, join_inferred = min(signs), True
    named = [(event.at, event.name) for event in events if event.name is not None]
    return {
        "id": id,
        "joined": joined,
        "left": left,
        "reason": reason,
        "inferred": inferred,
        "joinInferred": join_inferred,
        "last": last,
        "named": min(named) if named else None,
    }


# --- as the API writes it -------------------------------------------------------------------------------------------


def as_list(found, session_id, now):
    return [
        {
            "attendee": one["attendee"],
            "name": one["name"],
            "sessionId": session_id,
            "isDeleted": not is_there(one),
            "createdOn": text(one["first"]),
            "modifiedOn": text(one["last"]),
            "active": is_there(one),
            "durationSeconds": seconds(spans(one, now)),
            "connections": [
                {
                    "id": each["id"],
                    "joined": text(each["joined"]),
                    "left": text(each["left"]),
                    "reason": each["reason"],
                    "inferred": each["inferred"],
                    "joinInferred": each["joinInferred"],
                }
                for each in one["presences"]
            ],
        }
        for one in found
    ]


def as_report(found, session_id, now, is_present):
    """Return the report; ``is_present`` takes an attendee's time and the meeting's length."""
    everybody = [spans(one, now) for one in found]
    all_spans = [span for one in everybody for span in one]
    whole = total(all_spans)
    moments = sorted({span[0] for span in all_spans})
    crowd = [sum(begin <= moment <= end for begin, end in all_spans) for moment in moments]
    peak = max(crowd, default=0)
    joins = [one["first"] for one in found if one["first"]]
    leaves = [each["left"] for one in found for each in one["presences"]]
    return {
        "sessionId": session_id,
        "startedOn": text(min(joins, default=None)),
        "endedOn": None if not leaves or None in leaves else text(max(leaves)),
        "durationSeconds": whole // timedelta(seconds=1),
        "attendeeCount": len(found),
        "connectionCount": len(leaves),
        "peakConcurrency": peak,
        "peakOn": text(moments[crowd.index(peak)]) if moments else None,
        "attendees": [
            {
                "attendee": one["attendee"],
                "name": one["name"],
                "present": is_present(total(own), whole),
                "active": is_there(one),
                "totalSeconds": seconds(own),
                "share": round(total(own) / whole, 4) if whole else 0.0,
                "joinCount": len(one["presences"]),
                "firstJoin": text(one["first"]),
                "lastLeave": None if is_there(one) else text(max(each["left"] for each in one["presences"])),
                "intervals": [[text(begin), text(end)] for begin, end in merged(own)],
            }
            for one, own in zip(found, everybody, strict=True)
        ],
    }


def is_there(one):
    return any(each["left"] is None for each in one["presences"])


def spans(one, now):
    """Return the times of which both ends are known, or are now; one person's are merged."""
    known = [(each["joined"], each["left"] or now) for each in one["presences"] if each["joined"]]
    return merged([(begin, end) for begin, end in known if begin <= end])


def merged(spans):
    found = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return found


def total(spans):
    return sum((end - begin for begin, end in merged(spans)), timedelta())


def seconds(spans):
    return total(spans) // timedelta(seconds=1)


def text(time):
    return None if time is None else time.isoformat().replace("+00:00", "Z")
