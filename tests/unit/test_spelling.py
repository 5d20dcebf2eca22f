"""A misspelled name is answered with the nearest name that exists."""

import pytest

from videoconf.app import create_app
from videoconf.errors import ConfigurationError
from videoconf.spelling import proposal

KNOWN = ("extId", "extMetadata", "scheduleTime", "isScheduled")


@pytest.mark.parametrize(
    ("sent", "nearest"),
    [("ext_id", "extId"), ("extID", "extId"), ("scheduletime", "scheduleTime"), ("isSheduled", "isScheduled")],
)
def test_misspelled_name_gets_the_nearest(sent, nearest):
    assert proposal(sent, KNOWN) == f" Did you mean {nearest}?"


@pytest.mark.parametrize("sent", ["banana", "", "x" * 1000])
def test_distant_name_gets_no_proposal(sent):
    assert proposal(sent, KNOWN) == ""


def test_misspelled_setting_gets_the_nearest(monkeypatch):
    monkeypatch.setenv("VIDEOCONF_PROVIDER", "fake")
    with pytest.raises(ConfigurationError, match=r"not a setting. Did you mean VIDEOCONF_PROVIDERS\?"):
        create_app(serving=True)


def test_misspelled_provider_gets_the_nearest(monkeypatch):
    monkeypatch.setenv("VIDEOCONF_PROVIDERS", "vonnage")
    with pytest.raises(ConfigurationError, match=r"Did you mean vonage\?"):
        create_app(serving=True)
