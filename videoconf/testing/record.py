"""``python -m videoconf.testing.record FOLDER``: write each webhook that comes in as a sample, to be completed by hand.

Its answer is an empty 200. What it writes holds what the vendor sent, signatures included: use an account of no value.
"""

from __future__ import annotations

import argparse
import base64
import json
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import click

MOST_BYTES = 1 << 20
LEFT_OUT = frozenset({"connection", "content-length", "host", "accept-encoding", "user-agent"})


def write_sample(
    folder: Path, channel: str, query: str, headers: dict[str, str], body: bytes, received_at: datetime
) -> Path:
    """Write one webhook into a new file of the folder and return its path."""
    document: dict[str, Any] = {
        "channel": channel,
        "received_at": received_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "headers": {name: value for name, value in headers.items() if name not in LEFT_OUT},
    }
    if query:
        document["query"] = query
    try:
        document["body"] = body.decode()  # as it came: a signature covers every space
    except UnicodeDecodeError:
        document["body_base64"] = base64.b64encode(body).decode()
    document["events"] = []
    path = folder / f"{len(list(folder.glob('*.json'))) + 1:02}_to_be_named.json"
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return path


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m videoconf.testing.record", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=8090)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)

    class Recorder(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = min(int(self.headers.get("Content-Length") or 0), MOST_BYTES)
            headers = {name.lower(): value for name, value in self.headers.items()}
            path, _, query = self.path.partition("?")
            channel = path.rstrip("/").rpartition("/")[2] or "session"
            written = write_sample(
                arguments.folder, channel, query, headers, self.rfile.read(length), datetime.now(UTC)
            )
            click.echo(f"wrote {written}")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing beyond what was written."""

    with HTTPServer(("127.0.0.1", arguments.port), Recorder) as server:
        click.echo(f"webhooks are recorded at http://127.0.0.1:{server.server_port}/session")
        server.serve_forever()


if __name__ == "__main__":
    main()
