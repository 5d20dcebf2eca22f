"""Each code block of the README, the tutorials and the how-to guides is run, or marked with the reason why not."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.servers import GunicornServer
from tests.support.settings import FAKE_SETTINGS, JWT_SECRET

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(sys.executable).parent
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs/tutorial").glob("*.md")),
    *sorted((ROOT / "docs/how-to").glob("*.md")),
]
BLOCK = re.compile(
    r"^( *)(?:<!-- (?P<mark>[^>]*?) -->\n\1)?```(?P<language>\w+)\n(?P<text>.*?)^\1```$", re.MULTILINE | re.DOTALL
)
COMMANDS = frozenset({"sh", "python", "py", "js", "javascript", "ts", "json"})
"""Languages of blocks that a reader runs or sends. Blocks of settings and output are not run."""
NOT_RUN = 23
"""How many blocks are marked `not-run:`. A new mark needs a reason and a change of this number."""
README_BLOCKS = ("Run it", "A meeting in ten lines", "Deploy it")


def blocks(page: Path) -> list[tuple[str | None, str, str]]:
    """The mark, the language and the text of each block of a page."""
    return [(found["mark"], found["language"], found["text"]) for found in BLOCK.finditer(page.read_text())]


def run_blocks(page: Path) -> list[str]:
    return [text for mark, language, text in blocks(page) if mark == "run" and language == "sh"]


@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_block_is_run_or_marked(page):
    for mark, language, text in blocks(page):
        if language in COMMANDS:
            marked = mark is not None and re.match(r"run$|run, fails$|file: |add to: |not-run: \w", mark)
            assert marked, f"mark this block:\n{text}"


def test_number_of_marks_is_known():
    marks = [mark for page in PAGES for mark, _, _ in blocks(page) if mark and mark.startswith("not-run:")]
    assert len(marks) == NOT_RUN, marks


def test_readme_has_known_blocks():
    headings = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?^```sh", PAGES[0].read_text(), re.MULTILINE | re.DOTALL)
    assert tuple(headings) == README_BLOCKS


@pytest.fixture
def port() -> int:
    return free_port()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Newcomer:
    """What `make run` serves in an empty folder, and who runs commands beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        port = free_port()
        self._urls = {8000: f"http://127.0.0.1:{port}", 8001: f"http://127.0.0.1:{port + 1}"}
        self.server = start(f"videoconf dev --port {port}", folder, self._urls[8000])

    def at_this_server(self, text: str) -> str:
        """Replace the addresses that the pages name by this server's own."""
        for documented, url in self._urls.items():
            text = text.replace(f"http://127.0.0.1:{documented}", url)
        return text

    def run(self, script: str) -> str:
        return bash(self.at_this_server(script.replace(".venv/bin", str(PROGRAMS))), self.folder)

    def save_files(self, page: Path) -> None:
        """Save the files that a page shows."""
        for mark, _, text in blocks(page):
            if mark and mark.startswith("file: "):
                (self.folder / mark.removeprefix("file: ")).write_text(self.at_this_server(text))


@pytest.fixture(scope="module")
def newcomer(make_memory_folder):
    """Give one server, on which a reader follows one page after another."""
    newcomer = Newcomer(make_memory_folder())
    yield newcomer
    newcomer.server.close()


@pytest.fixture
def another_newcomer(memory_folder):
    newcomer = Newcomer(memory_folder)
    yield newcomer
    newcomer.server.close()


def launch(command: str, folder: Path, log: Path, **environment: str) -> "subprocess.Popen[bytes]":
    with log.open("wb") as output:
        return subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=folder,
            env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def start(command: str, folder: Path, url: str, **environment: str) -> GunicornServer:
    log = folder / "server.log"
    server = GunicornServer(url, launch(command, folder, log, **environment), log)
    try:
        server.wait_until_up()
    except BaseException:
        server.close()
        raise
    return server


def bash(script: str, folder: Path, **environment: str) -> str:
    """Run a script as a reader would paste it; it must succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def readme_block(heading: str) -> str:
    section = PAGES[0].read_text().split(f"\n## {heading}\n", 1)[1]
    return section.split("```sh\n", 1)[1].split("```", 1)[0]


def test_readme_meeting_ends_with_an_attendance_list(newcomer):
    output = newcomer.run(readme_block("A meeting in ten lines"))
    assert output.index("joined") < output.index('"attendee":"u-7"')
    assert '"name":"Ada"' in output
    assert output.rstrip().endswith("204")


def test_first_meeting_tutorial_runs(newcomer):
    output = newcomer.run("\n".join(run_blocks(ROOT / "docs/tutorial/first-meeting.md")))
    assert '"extId":"lesson-7"' in output.replace(" ", "")
    assert "Bob" in output.rstrip().splitlines()[-1], "the CSV report names the last attendee"


def test_invitation_guide_runs(newcomer):
    output = newcomer.run("\n".join(run_blocks(ROOT / "docs/how-to/invite-people.md")))
    assert "/join#" in output
    assert output.count('"attendee":"u-7"') >= 2, "a reload is the same attendee"
    assert '"name":"Bob"' in output
    assert '"reason":"Disturbs the lesson"' in output


BACK_END = ROOT / "docs/how-to/call-from-your-back-end.md"


def test_back_end_guide_runs_in_python(newcomer):
    newcomer.save_files(BACK_END)
    output = newcomer.run("\n".join(text for text in run_blocks(BACK_END) if "node" not in text))
    assert output.startswith("Ada is there\nmeeting_ended: The meeting ended at ")
    assert output.splitlines()[-1].startswith("meeting_ended The meeting ended at ")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_back_end_guide_runs_in_node(another_newcomer):
    another_newcomer.save_files(BACK_END)
    output = another_newcomer.run("\n".join(text for text in run_blocks(BACK_END) if "node" in text))
    assert output.startswith("Bob is there\nmeeting_ended: The meeting ended at ")


def test_deploy_commands_run(tmp_path, memory_folder, port):
    upgrade, doctor, serve, worker = (line.partition("#")[0] for line in readme_block("Deploy it").strip().splitlines())
    settings = deployed(memory_folder)
    bash(f"{upgrade}\n{doctor}", tmp_path, **settings)
    server = start(f"{serve.strip()} --bind=127.0.0.1:{port}", tmp_path, f"http://127.0.0.1:{port}", **settings)
    server.close()
    log = tmp_path / "worker.log"
    process = launch(worker, tmp_path, log, **settings)
    try:
        while "videoconf started" not in log.read_text():  # until the test's time is up
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
    finally:
        process.terminate()
    assert process.wait(30) == 0


@pytest.mark.parametrize("page", ["deploy.md", "poolers.md"])
def test_how_to_commands_run(page, tmp_path, memory_folder):
    for block in run_blocks(ROOT / "docs/how-to" / page):
        bash(block, tmp_path, **deployed(memory_folder))


def deployed(folder: Path) -> dict[str, str]:
    """Settings of a deployment with the fake provider, which needs no account; its database is in this folder."""
    return {
        **FAKE_SETTINGS,
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_FAKE_STATE": str(folder / "fake.sqlite"),
        "VIDEOCONF_DATABASE_URL": f"sqlite:///{folder / 'videoconf.sqlite'}",
        "VIDEOCONF_JWT_SECRETS": JWT_SECRET,
    }
