"""Write what an image installs, with the hashes of its files: deploy/requirements.txt, and requirements-otel.txt.

    python -m tools.lock

The versions are those of constraints.txt. pip itself says which files it would install on each platform, and what their
hashes are; a file that the index changes afterwards is not installed.
"""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHON = "3.11"
"""That of the base image."""
PLATFORMS = tuple(
    [f"{kind}_{machine}" for kind in ("manylinux_2_36", "manylinux_2_28", "manylinux2014", "manylinux_2_17")]
    for machine in ("x86_64", "aarch64")
)
EXTRAS = {"requirements.txt": None, "requirements-otel.txt": "otel"}
HEAD = "# Written by `make requirements`: what an image installs, for x86_64 and aarch64. Not edited by hand.\n"


def wanted(extra: str | None) -> list[str]:
    """Return what setup.cfg requires, and what builds it: nothing unverified may run while an image is built."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    builds = re.findall(r'requires = \["([^"]+)"\]', (ROOT / "pyproject.toml").read_text())
    found = setup["options"]["install_requires"].split("\n") + builds
    if extra is not None:
        found += setup["options.extras_require"][extra].split("\n")
    return [line for line in found if line]


def resolve(requirements: Iterable[str], platforms: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return name, version and SHA-256 of each file that pip would install on a platform."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--report", str(report), "--target", folder, "--only-binary=:all:", "--python-version", PYTHON]
        command += ["--constraint", str(ROOT / "constraints.txt"), "--disable-pip-version-check"]
        command += [f"--platform={platform}" for platform in platforms]
        subprocess.run([*command, *requirements], check=True)
        installs = json.loads(report.read_text())["install"]
    return [
        (
            one["metadata"]["name"].lower().replace("_", "-"),
            one["metadata"]["version"],
            one["download_info"]["archive_info"]["hashes"]["sha256"],
        )
        for one in installs
    ]


def main() -> None:
    for name, extra in EXTRAS.items():
        hashes: defaultdict[str, set[str]] = defaultdict(set)
        for platforms in PLATFORMS:
            for package, version, digest in resolve(wanted(extra), platforms):
                hashes[f"{package}=={version}"].add(digest)
        lines = [
            " \\\n".join([pinned, *(f"    --hash=sha256:{digest}" for digest in sorted(hashes[pinned]))])
            for pinned in sorted(hashes)
        ]
        (ROOT / "deploy" / name).write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
