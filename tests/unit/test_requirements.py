"""What an image installs is pinned by hash, and is what the package needs."""

import re
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tools.lock import EXTRAS, wanted

ROOT = Path(__file__).parents[2]
PINNED = re.compile(r"^([a-z0-9.-]+)==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\\n|\n))+)", re.MULTILINE)
FILES = pytest.mark.parametrize(("name", "extra"), EXTRAS.items())


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(name: str) -> dict[str, str]:
    text = (ROOT / "deploy" / name).read_text()
    found = {plain(package): version for package, version, _ in PINNED.findall(text)}
    assert len(found) == text.count("=="), "each requirement has a hash"
    return found


def closure(requirements: list[str]) -> set[str]:
    """Return the names of what these need on Linux, as the installed packages say it."""
    left, found = [Requirement(one) for one in requirements], set()
    while left:
        one = left.pop()
        if plain(one.name) in found and not one.extras:
            continue
        found.add(plain(one.name))
        for text in distribution(one.name).requires or ():
            needed = Requirement(text)
            extras = one.extras or {""}
            applies = needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras)
            if applies and not (plain(needed.name) in found and not needed.extras):
                left.append(needed)
    return found


@FILES
def test_image_installs_all_that_is_needed_by_hash(name: str, extra: str | None) -> None:
    missing = closure([one for one in wanted(extra) if not one.startswith("setuptools")]) - pinned(name).keys()
    assert missing == set()
    assert "setuptools" in pinned(name), "what builds the package is verified too"


@FILES
def test_versions_of_images_are_those_of_the_tests(name: str, extra: str | None) -> None:
    tested = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines())
    tested = {plain(package): version for package, version in tested.items()}
    differing = {one: version for one, version in pinned(name).items() if tested.get(one, version) != version}
    assert differing == {}


def test_image_is_built_from_verified_files_alone() -> None:
    text = (ROOT / "Dockerfile").read_text()
    installs = re.findall(r"pip install ([^&]*)", text.replace("\\\n", " "))
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert "--no-deps --no-build-isolation" in installs[1]
    assert "!deploy/requirements*.txt" in (ROOT / ".dockerignore").read_text()
