"""What a provider says of archives is made safe before it is looked at."""

from typing import Any

import pytest
from videoconf.archives.recorder import Recorder

from videoconf.errors import ProviderBadResponse
from videoconf.providers import ArchiveState, ArchiveStatus, SessionRef

GOOD = ArchiveState(archive_id="good", session_id="s", provider_status="available", status=ArchiveStatus.AVAILABLE)
BAD: list[Any] = [
    ArchiveState(archive_id="x" * 256, session_id="s", provider_status="available", status=ArchiveStatus.AVAILABLE),
    ArchiveState(archive_id="", session_id="s", provider_status="available", status=ArchiveStatus.AVAILABLE),
    None,
    {"id": "bad"},
]


class Archiving:
    def __init__(self, said: list[Any]) -> None:
        self.said = said

    def list_archives(self, session: SessionRef) -> list[Any]:
        return self.said

    def get_archive(self, archive_id: str) -> Any:
        return self.said[0]


@pytest.mark.parametrize("bad", BAD, ids=["a long id", "no id", "none", "a dictionary"])
def test_one_archive_that_cannot_be_used_hides_no_other(bad: Any) -> None:
    said = Recorder(Archiving([bad, GOOD, bad])).list(SessionRef("a", "s"))  # type: ignore[arg-type]
    assert [archive.archive_id for archive in said] == ["good"]


@pytest.mark.parametrize("bad", BAD, ids=["a long id", "no id", "none", "a dictionary"])
def test_asked_for_alone_it_is_a_bad_response(bad: Any) -> None:
    with pytest.raises(ProviderBadResponse):
        Recorder(Archiving([bad])).get("x")  # type: ignore[arg-type]
