"""The documentation page in a real browser, under the policy that the service sends with it."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.service import ON_SQLITE

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPENAPI = json.loads((Path(__file__).parents[2] / "docs/reference/openapi.json").read_text())


@ON_SQLITE
@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed (apt-get install chromium)")
def test_page_shows_every_operation_and_obeys_its_policy(gunicorn_server, tmp_path):
    server = gunicorn_server(VIDEOCONF_PATH_PREFIX="/video", ready=False)
    server.url += "/video"
    server.wait_until_up()
    headless = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}"]
    asked = ["--enable-logging=stderr", "--virtual-time-budget=10000", "--dump-dom", f"{server.url}/docs"]
    shown = subprocess.run([BROWSER, *headless, *asked], capture_output=True, text=True, timeout=120, check=True)
    paths = re.findall(r'data-path="([^"]+)"', shown.stdout)
    # One row each operation; the page is served below a prefix, which the document's server names.
    expected = [
        path for path, operations in OPENAPI["paths"].items() for method in operations if method != "parameters"
    ]
    assert sorted(path.removeprefix("/video") for path in paths) == sorted([*expected, *OPENAPI["webhooks"]])
    assert "CONSOLE" not in shown.stderr, shown.stderr
