"""Under which key a copied archive is stored."""

from functools import partial
from itertools import combinations

from videoconf.archives.copy import object_key_of
from videoconf.storage import checked_key

LINK = "L" * 22
key_of = partial(object_key_of, LINK)


def test_an_ordinary_id_is_the_name():
    assert key_of("b40ef09b-3811-4726-b508-e41a0f96c68f") == f"{LINK}/b40ef09b-3811-4726-b508-e41a0f96c68f.mp4"


def test_key_of_an_id_stays_the_same_in_later_releases():
    """A copy that an earlier release began is found, and written again, under the same key."""
    assert key_of("a b/ä") == f"{LINK}/a_b__-1bb5c7b6d82b3065.mp4"
    assert key_of("x" * 181) == f"{LINK}/{'x' * 180}-dc31ed5afb940294.mp4"


def test_id_that_does_not_fit_a_key_gets_its_own_key():
    ids = ["a b", "a_b", "a:b", "ä", "ö", "..", "x" * 180, "x" * 181, "x" * 182, "x" * 255, "😀" * 255]
    for archive_id in ids:
        key = checked_key(key_of(archive_id))
        assert max(map(len, key.split("/"))) <= 255, "it may be the name of a file"
    for one, other in combinations(ids, 2):
        assert key_of(one) != key_of(other)
