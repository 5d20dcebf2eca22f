"""The steps of docs/tutorial/first-provider.md, as a reader follows them: commands to run, and files to write."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

GUIDE = Path(__file__).parents[2] / "docs/tutorial/first-provider.md"
STEP = re.compile(r"<!-- (run|run, fails|file: (\S+)|add to: (\S+)) -->\n```\w*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Step:
    """Something to do: run the text as a script, or write it to a file."""

    text: str
    path: str | None = None
    adds: bool = False
    fails: bool = False

    def write(self, folder: Path) -> None:
        assert self.path is not None
        path = folder / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text() if self.adds else ""
        path.write_text(before + self.text)


def steps() -> Iterator[Step]:
    for match in STEP.finditer(GUIDE.read_text()):
        what, file, more, text = match.groups()
        yield Step(text, file or more, adds=more is not None, fails=what == "run, fails")


def write_files(folder: Path) -> None:
    """Write what the guide writes, and run nothing."""
    for step in steps():
        if step.path is not None:
            step.write(folder)
