"""Find phrases that readers stumbled over; docs/contributing/style.md says what to write instead.

The list of exceptions is empty, and stays empty: rewrite the sentence. The patterns grow when a reader stumbles.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
READ = (".py", ".md", ".js", ".mjs", ".html")
PATTERNS = [
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"\b(is|are) none\b",
        r"\bis no [a-z]+\b",
        r"\b[Nn]obody\b",
        r"\b[Ss]omebody\b",
        r"\ball the same\b",
        r"\b(is|are|was|were) told\b",
        r"\bof which no\b",
        r"\banew\b",
        r"\bspelt\b",
        r"^\W*Of (a|an|the|one|what|those) ",
    )
]
DEFINED_HERE = ("docs/check_prose.py",)


def main() -> int:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = 0
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.suffix not in READ or name in DEFINED_HERE or not path.is_file():
            continue
        text = path.read_text()
        for pattern in PATTERNS:
            for match in pattern.finditer(text):
                found += 1
                line = text.count("\n", 0, match.start()) + 1
                print(f"{name}:{line}: {match[0].strip()!r}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
