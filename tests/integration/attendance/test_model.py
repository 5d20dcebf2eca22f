"""The API's answers against the reference model, over generated histories, on each database."""

import json
import os
from datetime import datetime, timedelta

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.integration.attendance import model
from tests.integration.attendance.histories import histories
from tests.integration.attendance.scripted import Script
from tests.support.laws import few_and_many

# A mutant need only be caught; the smallest history that does it is of no use, and takes minutes to find.
PHASES = [phase for phase in Phase if phase is not Phase.shrink or "NO_SHRINKING" not in os.environ]
generated = settings(suppress_health_check=list(HealthCheck), phases=PHASES)
QUESTIONS = ("whole", "whole", "active=true", "active=false", "page", "page of the active", "report")


def play(service, clock, begin, history):
    """Let a history come in; return the meeting and what the model makes of it."""
    clock.now = begin
    script = Script(service)
    events = history.events(begin)
    link = script.create() if history.before_create == 0 else None
    received = {}
    for number, (hours, told) in enumerate(history.deliveries, start=1):
        clock.now = begin + timedelta(hours=hours)
        script.deliver([events[one] for one in told], [f"{script.session_id}-{one}" for one in told])
        for one in told:
            received.setdefault(one, model.Receipt(events[one], clock.now))
        if number == history.before_create:
            link = script.create()
    end_time = None
    if history.ended:
        assert service.api("PATCH", f"/session/{link}/end").status == 204
        end_time = datetime.fromisoformat(service.api.read(link)["endTime"])
    clock.now = begin + timedelta(hours=history.asked_hours)
    return link, script, model.attendees(received.values(), begin, end_time, clock.now)


@few_and_many(100, 3000)
def test_the_api_answers_as_the_model(service, clock, count):
    begin = clock.now

    @settings(generated, max_examples=count)
    @given(histories(), st.sampled_from(QUESTIONS), st.integers(1, 3), st.integers(1, 3), st.sampled_from((0, 0.3, 1)))
    def check(history, question, page, page_size, share):
        link, script, found = play(service, clock, begin, history)
        api, now = service.api, clock.now
        if question == "report":
            answer = api("GET", f"/session/{link}/attendance?minimumShare={share}").json
            for row in answer["attendees"]:
                row["intervals"] = [[one["joined"], one["left"] or model.text(now)] for one in row["intervals"]]
            wanted = model.as_report(
                found, script.session_id, now, lambda time, whole: (time / whole if whole else 0) >= share
            )
            assert answer == wanted
            return
        wanted = model.as_list(found, script.session_id, now)
        query = {"active=false": "active=false"}.get(question, "active=true" if "active" in question else "")
        if query:
            wanted = [one for one in wanted if one["active"] is (query == "active=true")]
        if "page" in question:
            answer = api("GET", f"/session/{link}/attendees?page={page}&pageSize={page_size}&{query}".rstrip("&"))
            assert json.loads(answer.headers["X-Pagination"])["total"] == len(wanted)
            assert answer.json == wanted[(page - 1) * page_size : page * page_size]
        else:
            assert api("GET", f"/session/{link}/attendees?{query}").json == wanted

    check()


@few_and_many(15, 400)
def test_order_and_repetition_of_events_change_no_byte(service, clock, count):
    begin = clock.now

    @settings(generated, max_examples=count)
    @given(histories(), st.randoms(use_true_random=False))
    def check(history, chance):
        events = history.events(begin)
        answers = set()
        for _ in range(3):
            clock.now = begin
            script = Script(service)
            numbers = list(range(len(events))) * chance.choice((1, 1, 2, 3))
            chance.shuffle(numbers)
            before = chance.choice((0, 0, len(numbers), chance.randint(0, len(numbers))))
            link = None
            for position in range(0, len(numbers), 3):
                if link is None and position >= before:
                    link = script.create()
                some = numbers[position : position + 3]
                script.deliver([events[one] for one in some], [f"{script.session_id}-{one}" for one in some])
            link = link or script.create()
            clock.now = begin + timedelta(hours=history.asked_hours)
            answer = service.api("GET", f"/session/{link}/attendees").body
            answers.add(answer.replace(script.session_id.encode(), b"session"))
        assert len(answers) == 1

    check()


def test_histories_cover_the_hard_cases():
    """A generator that never makes the hard cases proves nothing: these must all be among its histories."""
    seen = set()
    begin = datetime.fromisoformat("2030-01-01T00:00:00+00:00")

    @settings(generated, max_examples=500)
    @given(histories())
    def look(history):
        events = history.events(begin)
        order = [one for _, told in history.deliveries for one in told]
        seen.update({"repeated"} if len(set(order)) < len(order) else ())
        seen.update({"lost"} if len(set(order)) < len(events) else ())
        seen.update({"reordered"} if order != sorted(order) else ())
        seen.update({"early"} if history.before_create else ())
        seen.update({"ended"} if history.ended else ())
        seen.update({"equal times"} if len({event.at for event in events}) < len(events) else ())
        closings = [event.at for event in events if event.kind == "session_closed"]
        seen.update({"restart"} if any(event.at > closing for event in events for closing in closings) else ())
        hours = [(event.at - begin) / timedelta(hours=1) for event in events]
        seen.update({"future"} if max(hours) > 24 else (), {"ancient"} if min(hours) < -24 else ())
        people = {event.connection for event in events if event.connection}
        seen.update({"tabs"} if {"c1", "c2"} <= people else (), {"anonymous"} if {"c4", "c5"} <= people else ())
        seen.update({"streams"} if any(event.kind == "activity" for event in events) else ())

    look()
    assert seen == {
        "repeated",
        "lost",
        "reordered",
        "early",
        "ended",
        "equal times",
        "restart",
        "future",
        "ancient",
        "tabs",
        "anonymous",
        "streams",
    }
