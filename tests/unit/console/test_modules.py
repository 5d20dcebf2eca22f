"""The console's modules that touch no page, under Node's own test runner."""

import shutil
import subprocess
from pathlib import Path

import pytest

from videoconf.api.pages import FOLDER

NODE = shutil.which("node")
TESTS = sorted(Path(__file__).parent.glob("*.test.mjs"))


@pytest.mark.skipif(NODE is None, reason="Node is not installed (Debian package nodejs)")
def test_pure_modules_pass_their_tests(tmp_path):
    # Beside a package.json, without which Node takes `.js` for another kind of module.
    (tmp_path / "package.json").write_text('{"type": "module"}')
    shutil.copytree(FOLDER / "console", tmp_path / "videoconf/pages/console")
    folder = tmp_path / "tests/unit/console"
    folder.mkdir(parents=True)
    copied = [shutil.copy(one, folder) for one in TESTS]
    ran = subprocess.run([NODE, "--test", *copied], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
