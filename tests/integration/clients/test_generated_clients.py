"""Clients that public generators make of the OpenAPI document walk a meeting's life on a fresh ``videoconf dev``."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.dev_server import DevServer, dev_server_in

HERE = Path(__file__).parent
PROGRAMS = Path(sys.executable).parent
NODE_MODULES = HERE.parents[2] / "build/clients/node_modules"
NODE = shutil.which("node")
ENDED = {"status": "ended", "extId": "lesson-8"}
TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "noUncheckedIndexedAccess": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "skipLibCheck": False,
        "types": ["node"],
    },
    "files": ["walk.ts"],
}


@pytest.fixture(scope="module")
def dev(make_memory_folder) -> Iterator[DevServer]:
    with dev_server_in(make_memory_folder()) as server:
        yield server


@pytest.fixture
def document(dev, tmp_path) -> Path:
    with urllib.request.urlopen(f"{dev.url}/openapi.json", timeout=10) as answer:
        (tmp_path / "openapi.json").write_bytes(answer.read())
    return tmp_path / "openapi.json"


def run(*command: object, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(one) for one in command],
        cwd=folder,
        env={**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}", **environment},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("walk", "escape"),
    [("walk.py", r"\bcast\b\(|type: ignore|\bAny\b"), ("walk.ts", r"[)\]}\w] as \w|@ts-|\bany\b|\w!\.")],
)
def test_walk_has_neither_cast_nor_suppression(walk, escape):
    assert re.findall(escape, (HERE / walk).read_text()) == []


def test_python_client_walks_a_meeting(dev, document):
    folder = document.parent
    run(
        "openapi-python-client",
        "generate",
        "--path",
        document,
        "--meta",
        "none",
        "--output-path",
        "client",
        folder=folder,
    )
    shutil.copy(HERE / "walk.py", folder)
    run(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--config-file=", "walk.py", folder=folder)
    assert json.loads(run(sys.executable, "walk.py", folder=folder, **dev.environment)) == ENDED


@pytest.mark.skipif(NODE is None or not NODE_MODULES.exists(), reason="needs node, and `make clients`, which needs npm")
def test_typescript_client_walks_a_meeting(dev, document):
    folder = document.parent
    (folder / "node_modules").symlink_to(NODE_MODULES)
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG))
    shutil.copy(HERE / "walk.ts", folder)
    run(NODE, NODE_MODULES / "openapi-typescript/bin/cli.js", document, "-o", "schema.d.ts", folder=folder)
    run(NODE, NODE_MODULES / "typescript/bin/tsc", "-p", "tsconfig.json", folder=folder)
    assert json.loads(run(NODE, "walk.js", folder=folder, **dev.environment)) == ENDED
