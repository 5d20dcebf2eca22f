"""Only the owner reads the files of an SQLite database: they hold names, keys and encrypted credentials."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("url", ["sqlite:///videoconf.db", "sqlite:///{folder}/own/data.db"])
def test_database_files_are_private_after_upgrade(tmp_path: Path, url: str) -> None:
    (tmp_path / "own").mkdir(0o755)
    done = subprocess.run(
        [Path(sys.executable).with_name("videoconf"), "db", "upgrade"],
        cwd=tmp_path,
        env={**os.environ, "VIDEOCONF_DATABASE_URL": url.format(folder=tmp_path), "PYTHONPATH": str(ROOT)},
        umask=0o022,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    made = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in made)
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    if (tmp_path / "instance").exists():
        assert stat.S_IMODE((tmp_path / "instance").stat().st_mode) == 0o700
