"""What is shipped works by itself: built from a clean copy, installed alone, upgraded and served."""

import json
import shutil
import subprocess
import sys
import urllib.request
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import JWT_SECRET
from tests.servers import start_gunicorn

ROOT = Path(__file__).parents[2]
SHIPPED = {"videoconf": "videoconf", "migrations": "videoconf_migrations"} | {
    f"plugins/{folder.name}": folder.name for folder in (ROOT / "plugins").glob("videoconf_*") if folder.is_dir()
}
"""The folders of the tree, and what they are called when installed."""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree without what git ignores: nothing that was built before may help."""
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().split()]
    copy = tmp_path_factory.mktemp("wheel") / "source"
    return Path(shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", *ignored)))


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """The wheel, built from the source distribution, so that the latter is complete too."""
    output = source.parent / "dist"
    command = [sys.executable, "-m", "build", "--outdir", str(output), str(source)]
    subprocess.run(command, check=True, capture_output=True, text=True)
    (path,) = output.glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_every_package(source: Path, wheel: Path) -> None:
    expected = {
        f"{package}/{path.relative_to(source / folder).as_posix()}"
        for folder, package in SHIPPED.items()
        for path in (source / folder).rglob("*")
        if path.is_file() and path.suffix != ".md"
    }
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert expected - names == set()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(SHIPPED.values())
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


@pytest.mark.timeout(300)
def test_the_wheel_alone_upgrades_its_database_and_serves(
    wheel: Path, tmp_path: Path, fake_settings: dict[str, str], headers: Callable[..., dict[str, str]]
) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    constraints = ["--constraint", str(ROOT / "constraints.txt")]
    subprocess.run([programs / "pip", "install", "--quiet", *constraints, wheel], check=True, capture_output=True)
    nowhere = tmp_path / "nowhere"
    nowhere.mkdir()
    settings = {
        **fake_settings,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DATABASE_URL": f"sqlite:///{tmp_path / 'videoconf.sqlite'}",
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
    }
    upgrade = [programs / "flask", "--app", "videoconf.app", "db", "upgrade"]
    subprocess.run(upgrade, check=True, capture_output=True, cwd=nowhere, env=settings)
    command = [str(programs / "gunicorn"), "--no-control-socket", "--threads=4", "videoconf.app:create_app()"]
    server = start_gunicorn(command, tmp_path / "gunicorn.log", nowhere, settings)
    try:
        server.wait_until_up()
        request = urllib.request.Request(f"{server.url}/session", method="POST", headers=headers())
        with urllib.request.urlopen(request, timeout=10) as answer:
            meeting_link = json.loads(answer.read())
        request = urllib.request.Request(f"{server.url}/session/{meeting_link}", headers=headers())
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert json.loads(answer.read())["provider"] == "fake"
        with urllib.request.urlopen(f"{server.url}/docs", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/html")
    finally:
        server.close()
