"""No pattern may be made to run for long by the text that it is matched with: one request would stop a worker."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from videoconf.providers import ArchiveState, ArchiveStatus
from videoconf.providers.cleaning import cleaned_archive

OPENAPI = json.loads((Path(__file__).parents[2] / "docs/reference/openapi.json").read_text())
LENGTH = 100_000
"""More than any request can hold; a pattern that takes the square of it needs minutes."""


def patterns(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        if isinstance(document.get("pattern"), str):
            yield document["pattern"]
        document = list(document.values())
    if isinstance(document, list):
        for member in document:
            yield from patterns(member)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("repeated", ["a", "0", "-", ".", "/", "a.", "a-", "a/", "A=", ":"])
@pytest.mark.parametrize("pattern", sorted({*patterns(OPENAPI)}))
def test_a_documented_pattern_ends_soon(pattern: str, repeated: str) -> None:
    for text in (
        repeated * (LENGTH // len(repeated)),
        repeated * (LENGTH // len(repeated)) + "!",
        repeated * 100 + " ",
    ):
        re.search(pattern, text)  # the test's time limit ends it


@pytest.mark.timeout(10)
def test_looking_for_a_url_in_metadata_ends_soon() -> None:
    def kept(text: str) -> Any:
        said = ArchiveState("a", "s", "available", ArchiveStatus.AVAILABLE, metadata={"said": text})
        return cleaned_archive(said).metadata

    assert kept("a" * 10) == {"said": "a" * 10}
    assert kept("a" * 10 + "://") == {}
    for end in ("", "://"):
        kept("a" * LENGTH + end)
