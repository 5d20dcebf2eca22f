"""The one form of each route's path."""

import pytest

from videoconf.api.paths import is_in_form

IN_FORM = (
    "/",
    "/healthz",
    "/session/abc?page=1//2%2f#x",
    "/session/a%20b%C3%A9%3A%40",
    "/session/a%00b",
    "http://video.example.com/healthz?x",
    "https://[::1]:8000/session/a",
)
OTHERWISE = (
    "",
    "healthz",
    "*",
    "//healthz",
    "///healthz",
    "/%2fhealthz",
    "/session%2Fabc",
    "/%68ealthz",
    "/health%7a",
    "/session/%61bc",
    "/session/a%2Eb",
    "/%7Evideo/healthz",
    "/healthz#x",
    "/session/a%zzb",
    "/session/a%2",
    "http://video.example.com//healthz",
    "http://video.example.com",
    "http:/healthz",
    "http:healthz",
)


@pytest.mark.parametrize("target", IN_FORM)
def test_path_in_form_is_accepted(target):
    assert is_in_form(target)


@pytest.mark.parametrize("target", OTHERWISE)
def test_path_in_another_form_is_refused(target):
    assert not is_in_form(target)
