"""Fold a log of events: what a receiver that keeps every event in order believes."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Folded:
    """What is believed of one meeting."""

    meeting: dict[str, Any] | None = None
    attendees: list[dict[str, Any]] = field(default_factory=list)
    archives: dict[str, dict[str, Any]] = field(default_factory=dict)
    sequence: int = 0

    def take(self, event):
        """Apply one event. Each connection belongs to one attendee: the last that has it."""
        assert event["sequence"] == self.sequence + 1, (event["sequence"], self.sequence)
        self.sequence += 1
        kind, _, what = event["type"].partition(".")
        data = event["data"]
        if kind == "meeting":
            self.meeting = data
        elif kind == "attendee" and what != "banned":
            theirs = ids(data)
            self.attendees = [one for one in self.attendees if theirs.isdisjoint(ids(one)) and not same(one, data)]
            if what != "removed":
                self.attendees.append(data)
        elif kind == "archive":
            self.archives.pop(data["id"], None)
            if what != "deleted":
                self.archives[data["id"]] = data


def ids(attendee):
    return {one["id"] for one in attendee["connections"]}


def same(one, other):
    return one["attendee"] is not None and one["attendee"] == other["attendee"]


def still(attendees):
    """Return attendees in an order of their own, without what grows with the clock."""
    found = [{name: value for name, value in one.items() if name != "durationSeconds"} for one in attendees]
    return sorted(found, key=lambda one: sorted(ids(one)))


def answered(api, link):
    """Return what the API answers of a meeting, as :func:`believed` returns what was folded."""
    archives = {one["id"]: one for one in api("GET", f"/archives?meetingLink={link}").json["items"]}
    return api.read(link), still(api.attendees(link)), archives


def believed(folded):
    return folded.meeting, still(folded.attendees), folded.archives
