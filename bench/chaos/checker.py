"""The rules that a history must keep. Each is a function that tells what is wrong, as sentences.

An operation that was acknowledged has happened before its acknowledgement; one that was refused has not happened; any
other may have happened, at any time since. What is read must be a state to which that can lead.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from bench.chaos.history import BROKEN, GAVE_UP, Call, Fault, Kind

GRACE_SECONDS = 10.0
"""How long after a fault its effects may still be seen."""
OUTAGE = frozenset({BROKEN, 502, 503, 504})
"""Answers that a fault excuses."""
PROPER = {
    Kind.CREATE: {200, 409, GAVE_UP},
    Kind.REUSE: {422},
    Kind.EDIT: {204, 409},
    Kind.END: {204, 409},
    Kind.TOKEN: {200, 409},
    Kind.JOINED: {200, 204},
    Kind.LEFT: {200, 204},
    Kind.READ: {200},
    Kind.LIST: {200},
    Kind.ATTENDEES: {200},
    Kind.ARCHIVE_START: {201, 409},
    Kind.ARCHIVE_STOP: {200, 404, 409},
    Kind.ARCHIVE_DELETE: {200, 404, 409},
    Kind.ARCHIVE_READ: {200, 404},
    Kind.ARCHIVES: {200},
    Kind.MOODY: {200, 204, 401, 409, 502},
    Kind.FOREIGN: {404},
}
ARCHIVE_RANKS = {"started": 1, "stopped": 2, "available": 3, "uploaded": 4}


def check(history: list[Call], faults: list[Fault]) -> list[str]:
    """Return what is wrong with a history."""
    by_meeting: dict[str, list[Call]] = defaultdict(list)
    for call in history:
        by_meeting[call.meeting].append(call)
    wrong = [*answers(history, faults), *keys(history), *tenants(history)]
    for link, calls in by_meeting.items():
        if link:
            wrong += [f"{link}: {what}" for rule in (ends, edits, connections, archives) for what in rule(calls)]
    return wrong


def answers(history: list[Call], faults: list[Fault]) -> Iterator[str]:
    """No 500 ever, no outage without a fault, and nothing that is not documented."""
    for call in history:
        if call.status in PROPER[call.kind]:
            continue
        if call.status == 500:
            yield f"a 500: {call}"
        elif call.status in OUTAGE:
            if not any(one.began <= call.ended and call.began <= one.ended + GRACE_SECONDS for one in faults):
                yield f"{call.status} without a fault: {call}"
        elif call.status == 404:
            yield f"an acknowledged meeting is gone: {call}"
        else:
            yield f"an undocumented answer: {call}"


def keys(history: list[Call]) -> Iterator[str]:
    """One key is one meeting, whoever repeats it; two keys, or two tenants with one key, are two."""
    links: dict[tuple[str, str], set[str]] = defaultdict(set)
    for call in history:
        if call.kind is Kind.CREATE and call.done:
            links[call.tenant, call.subject].add(call.answer)
    owners: dict[str, tuple[str, str]] = {}
    for key, found in links.items():
        if len(found) > 1:
            yield f"one key, several meetings: {key} {found}"
        for link in found:
            if link in owners:
                yield f"one meeting, several keys: {link} of {owners[link]} and {key}"
            owners[link] = key


def tenants(history: list[Call]) -> Iterator[str]:
    """A list shows the tenant's own meetings alone, and of these all that were acknowledged before and fit in."""
    owner = {call.answer: call.tenant for call in history if call.kind is Kind.CREATE and call.done}
    for call in history:
        if call.kind is Kind.LIST and call.done:
            for link in call.seen:
                if owner.get(link, call.tenant) != call.tenant:
                    yield f"tenant {call.tenant} is shown {link} of {owner[link]}"


def ends(calls: list[Call]) -> Iterator[str]:
    """A meeting ends once, at one time, which stays; then it gives no token and takes no edit."""
    done = [call for call in calls if call.kind is Kind.END and call.done]
    if len(done) > 1:
        yield f"ended {len(done)} times"
    first = min((call.ended for call in done), default=None)
    tried = min((call.began for call in calls if call.kind is Kind.END and not call.refused), default=None)
    times = set()
    for call in calls:
        after = first is not None and call.began > first
        if after and call.done and call.kind in (Kind.TOKEN, Kind.EDIT, Kind.ARCHIVE_START):
            yield f"{call.kind} after the end: {call}"
        if call.kind is Kind.READ and call.done:
            time = call.seen["endTime"]
            if not time and after:
                yield f"an acknowledged end is lost: {call}"
            if time and (tried is None or call.ended < tried):
                yield f"ended without a request: {call}"
            times |= {time} - {""}
    if len(times) > 1:
        yield f"its end has several times: {times}"


def edits(calls: list[Call]) -> Iterator[str]:
    """A read shows what an edit wrote that may be the latest."""
    writes = [call for call in calls if call.kind is Kind.EDIT and not call.refused]
    for read in calls:
        if read.kind is not Kind.READ or not read.done:
            continue
        value = read.seen["extId"]
        surely = [one for one in writes if one.done and one.ended < read.began]
        if not value:
            if surely:
                yield f"an acknowledged edit is lost: {surely[-1]} before {read}"
            continue
        source = next((one for one in writes if one.subject == value and one.began < read.ended), None)
        if source is None:
            yield f"no request wrote what was read: {read}"
        elif source.done and any(one.began > source.ended for one in surely):
            yield f"a stale read: {value} was overwritten before {read}"


def connections(calls: list[Call]) -> Iterator[str]:
    """Who joined is present, who left is not, and no other attendee is: as soon as the webhook is acknowledged."""
    joins = [call for call in calls if call.kind is Kind.JOINED]
    leaves = [call for call in calls if call.kind is Kind.LEFT]
    ending = min((call.began for call in calls if call.kind is Kind.END and not call.refused), default=float("inf"))
    for read in calls:
        if read.kind is not Kind.ATTENDEES or not read.done:
            continue
        told = {call.subject for call in (*joins, *leaves) if call.done and call.ended < read.began}
        if lost := told - read.seen.keys():
            yield f"an acknowledged webhook is lost: {sorted(lost)} at {read}"
        possible = {call.subject for call in (*joins, *leaves) if call.began < read.ended}
        if invented := read.seen.keys() - possible:
            yield f"invented connections: {sorted(invented)} at {read}"
        gone = {call.subject for call in leaves if call.done and call.ended < read.began}
        if there := {one for one in gone if read.seen.get(one) == "there"}:
            yield f"an acknowledged leave is lost: {sorted(there)} at {read}"
        leaving = {call.subject for call in leaves if call.began < read.ended}
        if read.ended < ending:
            left = {one for one, state in read.seen.items() if state == "left"}
            if early := left - leaving:
                yield f"left without a webhook: {sorted(early)} at {read}"


def archives(calls: list[Call]) -> Iterator[str]:
    """An archive that was started is listed, its status only goes on, and deleted it stays.

    ``deleting`` is what a caller wants. Until it is acknowledged the provider may refuse, and then it was for nothing.
    A repeated request meanwhile reports that it is under way, which binds no more than the first answer.
    """
    started = {call.answer: call for call in calls if call.kind is Kind.ARCHIVE_START and call.done}
    deletions = [call for call in calls if call.kind is Kind.ARCHIVE_DELETE]
    gone: dict[str, float] = {}
    reached: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for read in sorted(calls, key=lambda call: call.began):
        if not read.done and not (read.kind is Kind.ARCHIVE_READ and read.status == 404):
            continue
        if read.kind is Kind.ARCHIVES:
            about, seen = [one for one, start in started.items() if start.ended < read.began], read.seen
        elif read.kind is Kind.ARCHIVE_READ:
            about, seen = [read.subject], read.seen
        else:
            continue
        for one in about:
            tried = [call for call in deletions if call.subject == one and call.began < read.ended]
            open_since = min((call.began for call in tried if not call.done and call.status != 404), default=read.began)
            acknowledged = any(call.done and call.ended < min(read.began, open_since) for call in tried)
            status = seen.get(one)
            if status is None:
                gone.setdefault(one, read.ended)
                if all(call.refused for call in tried):
                    yield f"an archive is lost: {one} at {read}"
            elif read.began > gone.get(one, float("inf")):
                yield f"an archive that was gone is back: {one} at {read}"
            if status in (None, "deleting"):
                continue
            if acknowledged:
                yield f"a deleted archive is back: {one} at {read}"
            rank = ARCHIVE_RANKS[str(status)]
            if any(rank < earlier and ended < read.began for ended, earlier in reached[one]):
                yield f"the status of an archive went back: {one} at {read}"
            reached[one].append((read.ended, rank))
