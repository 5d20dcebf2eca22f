"""What ``make`` does where Python or the environment is not the right one. Nothing is installed here."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make")


@pytest.fixture
def install(tmp_path):
    """Give a function that installs by a Python of a version; it makes no environments, but says so."""

    def install(version):
        python = tmp_path / "python"
        code = f"import sys; sys.version_info = {version}; exec(sys.argv[2])"
        python.write_text(f'#!/bin/sh\nif [ "$1" = -c ]; then exec {sys.executable} -c "{code}" "$@"; fi\necho "$@"\n')
        python.chmod(0o755)
        venv = tmp_path / "venv"
        command = ["make", f"PYTHON={python}", f"VENV={venv}", "INSTALL=echo installs", f"{venv}/installed"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    return install


def test_too_old_python_is_reported_in_one_sentence(install):
    refused = install((3, 9, 2))
    assert refused.returncode != 0
    said, *_ = refused.stderr.splitlines()
    assert said.startswith("videoconf needs Python 3.11 or newer, and ")
    assert said.endswith("is 3.9. Name another: make PYTHON=python3.13")
    assert "installs" not in refused.stdout


@pytest.mark.parametrize("there", [True, False])
def test_wrong_or_missing_environment_is_created(install, tmp_path, there):
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    if there:
        python = tmp_path / "venv" / "bin" / "python"
        python.write_text("#!/bin/sh\nexit 1\n")
        python.chmod(0o755)
    made = install((3, 11, 0))
    assert made.returncode == 0, made.stderr
    assert "-m venv --clear" in made.stdout
    assert "installs" in made.stdout


def test_working_environment_is_kept(install, tmp_path):
    (tmp_path / "venv" / "bin").mkdir(parents=True)
    (tmp_path / "venv" / "bin" / "python").symlink_to(sys.executable)
    kept = install((3, 11, 0))
    assert kept.returncode == 0, kept.stderr
    assert "-m venv" not in kept.stdout
