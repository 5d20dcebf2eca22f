"""The files of the pages: what is sent, how it is cached and compressed, and what cannot be read."""

import gzip

import pytest

from tests.support.service import ON_SQLITE
from videoconf.api.pages import FOLDER

pytestmark = ON_SQLITE


def test_file_is_sent_unchanged(client):
    answer = client.get("/pages/tokens.css")
    assert (answer.status_code, answer.content_type) == (200, "text/css; charset=utf-8")
    assert answer.data == (FOLDER / "tokens.css").read_bytes()


def test_file_is_compressed_for_clients_that_accept_gzip(client):
    answer = client.get("/pages/tokens.css", headers={"Accept-Encoding": "br, gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer.headers["Vary"]
    assert gzip.decompress(answer.data) == (FOLDER / "tokens.css").read_bytes()


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_file_in_the_browsers_cache_is_not_sent_again(client, encoding):
    headers = {"Accept-Encoding": encoding}
    first = client.get("/pages/tokens.css", headers=headers)
    again = client.get("/pages/tokens.css", headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["Cache-Control"] == "no-cache"


def test_forms_of_a_file_have_different_etags(client):
    etags = {client.get("/pages/tokens.css", headers={"Accept-Encoding": one}).headers["ETag"] for one in ("gzip", "")}
    assert len(etags) == 2


@pytest.mark.parametrize(
    "name",
    ["", "join", "none.css", "../app.py", "..%2fapp.py", "join/../../app.py", "/etc/passwd", "join/", "a\0.css", "%00"],
)
def test_other_path_answers_404(client, name):
    assert client.get(f"/pages/{name}").status_code == 404
