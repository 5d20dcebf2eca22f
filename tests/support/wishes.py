"""Whatever a token may say of a participant, and what is to be seen of it afterwards."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

AWKWARD = "\t\n\x7f\x80\x85\x9b\xa0\xad\u200d\u2028\ufeff\ufffd\uffff\\\"'"
texts = st.text(st.sampled_from(AWKWARD) | st.characters(), min_size=1, max_size=30)
wishes = st.fixed_dictionaries({}, optional={"attendee": texts, "name": texts, "data": texts})
PRETTY = '{\n\t"role": "doctor",\n\t"ward": 3\n}'


def property_of_wishes(test):
    for wish in ({"data": PRETTY}, {"attendee": "a\tb", "name": "\x9bx\x7f\n", "data": PRETTY}, {"data": "é\n" * 500}):
        test = example(wish=wish)(test)
    once = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    return once(given(wish=wishes)(test))


def check(api, join, deliver, wish):
    """Let a participant join with a wish; return their id, or None if they have no id or the wish is refused."""
    link = api.create()
    if (status := api("POST", f"/session/{link}/token", wish).status) != 200:
        assert status in (400, 422)
        return None
    join(link, **wish)
    deliver()
    [person] = api.attendees(link)
    assert (person["attendee"], person["name"]) == (wish.get("attendee") or wish.get("data"), wish.get("name"))
    return person["attendee"]
