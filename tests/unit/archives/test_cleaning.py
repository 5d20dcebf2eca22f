"""What a provider says of an archive is made safe to store and to show."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoconf.providers import ArchiveState, ArchiveStatus
from videoconf.providers.cleaning import MAX_METADATA_BYTES, cleaned_archive


def said(**members):
    return ArchiveState(
        **{"archive_id": "a-1", "session_id": "s", "provider_status": "x", "status": ArchiveStatus.STARTED} | members
    )


def metadata(**members):
    return cleaned_archive(said(metadata=members)).metadata


@pytest.mark.parametrize(
    "members",
    [
        {"url": "anything"},
        {"downloadUrl": "anything"},
        {"URI": "anything"},
        {"href": "anything"},
        {"password": ""},
        {"accessToken": "anything"},
        {"secretKey": "anything"},
        {"access_key": "anything"},
        {"X-Amz-Signature": "anything"},
        {"location": "https://bucket.example/archive.mp4?sig=1"},
        {"location": "see s3://bucket/archive.mp4"},
        {"location": "//bucket.example/archive.mp4"},
        {"location": "www.example.org"},
        {"location": "data:text/plain,x"},
    ],
)
def test_metadata_that_gives_access_is_not_stored(members):
    assert metadata(**members) == {}
    assert metadata(kept=1, inner=members) == {"kept": 1, "inner": {}}
    assert metadata(kept=[members]) == {"kept": [{}]}


def test_metadata_that_describes_the_archive_is_kept():
    plain = {
        "outputMode": "composed",
        "hasAudio": True,
        "resolution": "1280x720",
        "sha256sum": "O6pV/Q==",
        "maxBitrate": 100_000,
        "ratio": 0.5,
        "streams": [{"id": "x"}],
        "currently": "10:30",
        "nothing": None,
    }
    assert metadata(**plain) == {name: value for name, value in plain.items() if value is not None}


def test_metadata_beyond_measure_are_dropped():
    deep = {}
    for _ in range(100):
        deep = {"a": deep}
    assert len(json.dumps(metadata(**deep))) < 100
    assert metadata(text="x" * 10_000) == {"text": "x" * 255}
    assert metadata(**{str(number): number for number in range(MAX_METADATA_BYTES)}) == {}
    assert metadata(a=math.inf, b=math.nan, c=b"bytes", d=object()) == {}


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("\x00\ud800"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), values), st.text(max_size=300), st.integers())
def test_both_databases_can_store_any_metadata(members, text, number):
    clean = cleaned_archive(
        said(metadata=members, name=text, reason=text, provider_status=text, duration_seconds=number, size_bytes=number)
    )
    stored = json.dumps(
        [clean.metadata, clean.name, clean.reason, clean.provider_status], ensure_ascii=False, allow_nan=False
    )
    assert "\\u0000" not in stored
    stored.encode()  # no lone surrogates
    assert len(clean.provider_status) <= 255
    assert 0 <= clean.duration_seconds < 2**31
    assert 0 <= clean.size_bytes < 2**63
    assert cleaned_archive(clean) == clean


@pytest.mark.parametrize("archive_id", ["", "a/b", "a?b", "a b", "x" * 256, "é", "a\n", "storage target"])
def test_an_id_that_no_path_can_hold_is_refused(archive_id):
    with pytest.raises(ValueError, match="id"):
        cleaned_archive(said(archive_id=archive_id))


def test_times_are_aware_and_in_utc():
    with pytest.raises(ValueError, match="aware"):
        cleaned_archive(said(updated_at=datetime(2026, 1, 1)))
    at = datetime.fromisoformat("2026-01-01T02:00:00+02:00")
    assert cleaned_archive(said(created_at=at)).created_at.tzinfo is UTC


@pytest.mark.parametrize("key", ["account/../a.mp4", "../a.mp4", "/a.mp4", "account//a.mp4", "a b", ".."])
def test_key_that_leads_elsewhere_is_not_stored(key):
    assert cleaned_archive(said(object_key=key)).object_key is None
    assert cleaned_archive(said(object_key="account/a..1/archive.mp4")).object_key == "account/a..1/archive.mp4"


@pytest.mark.parametrize("archive_id", ["", ".", "..", "a/b", "a b", "a\n", "é", "x" * 256])
def test_id_that_is_no_part_of_a_path_is_refused(archive_id):
    with pytest.raises(ValueError, match="part of a path"):
        cleaned_archive(said(archive_id=archive_id))
    assert cleaned_archive(said(archive_id="...")).archive_id == "..."
