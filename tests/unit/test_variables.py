"""What shells, editors and secret stores do to a value, undone in every setting alike."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from tests.unit.api.bearer_tokens import P256, RSA, pem
from videoconf.configuration import Declared, declared, load, quoted_variables, setting
from videoconf.errors import ConfigurationError
from videoconf.hooks import build_registry, load_plugins
from videoconf.settings import Secret, Settings

SECRET = "a-secret-of-more-than-thirty-two-characters"
PRIVATE = RSA.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
).decode()


@dataclass(frozen=True)
class Sample:
    text: str = setting("A text.", default="")
    secret: Secret = setting("A secret.", default=Secret(""))
    secrets: tuple[Secret, ...] = setting("Secrets.", default=())
    words: tuple[str, ...] = setting("Words.", default=())
    seconds: int = setting("A number.", default=0)
    is_open: bool = setting("A switch.", default=False)


def written(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> Any:
    monkeypatch.setenv(f"SAMPLE_{name.upper()}", value)
    return getattr(load(Sample, "SAMPLE_"), name)


def in_file(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, content: bytes) -> Any:
    path = folder / name
    path.write_bytes(content)
    monkeypatch.setenv(f"SAMPLE_{name.upper()}_FILE", str(path))
    return getattr(load(Sample, "SAMPLE_"), name)


WRITTEN = {
    "docker --env-file keeps quotes": f'"{SECRET}"',
    "docker --env-file keeps single quotes": f"'{SECRET}'",
    "a shell adds a line end": f"{SECRET}\n",
    "printf adds an escaped line end": f"{SECRET}\\n",
    "Windows ends lines by CRLF": f"{SECRET}\r\n",
    "an editor adds a byte order mark": f"\ufeff{SECRET}",
    "a line of an env file has spaces": f"  {SECRET}\t",
    "all at once": f'\ufeff"{SECRET}"\r\n',
}


@pytest.mark.parametrize("how", WRITTEN)
@pytest.mark.parametrize("name", ["text", "secret", "secrets", "words"])
def test_value_means_the_same_however_it_is_written(monkeypatch: pytest.MonkeyPatch, how: str, name: str) -> None:
    found = written(monkeypatch, name, WRITTEN[how])
    [one] = found if isinstance(found, tuple) else [found]
    assert (one.reveal() if isinstance(one, Secret) else one) == SECRET


def test_numbers_and_switches_lose_their_quotes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert written(monkeypatch, "seconds", '"5"') == 5
    assert written(monkeypatch, "is_open", "'true'") is True


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_secret_file_is_read_as_any_editor_saves_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str, end: str
) -> None:
    found = in_file(monkeypatch, tmp_path, "secret", f"{SECRET}{end}".encode(encoding))
    assert found.reveal() == SECRET


def test_file_that_is_not_text_is_reported_by_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for content, part in ((b"\x80\x81secret", "not text"), (b"a\0secret", "control characters")):
        with pytest.raises(ConfigurationError) as raised:
            in_file(monkeypatch, tmp_path, "secret", content)
        [fault] = raised.value.faults
        assert "SAMPLE_SECRET" in fault
        assert part in fault
        assert "secret" not in fault.replace("SAMPLE_SECRET", "")


LISTS = {
    "commas": "one,two words, three",
    "lines": "one\ntwo words\r\nthree\n",
    "each in quotes": '"one", "two words", \'three\'',
    "all in quotes": '"one,two words,three"',
    "JSON": '["one", "two words", "three"]',
    "empty items": ",one,,two words,\n,three,",
}


@pytest.mark.parametrize("how", LISTS)
def test_list_is_read_in_each_way_of_writing_it(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    assert written(monkeypatch, "words", LISTS[how]) == ("one", "two words", "three")


@pytest.mark.parametrize("how", ["a\\,b,c", '"a,b",c', "'a,b',c", '"a,b"\nc', '["a,b", "c"]'])
def test_item_may_contain_a_comma(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    assert written(monkeypatch, "secrets", how) == (Secret("a,b"), Secret("c"))


@pytest.mark.parametrize("value", ['pass"word', "it's", "a\\b", '"', "[not json", '"a" and "b"', "a=b#c d$e"])
def test_value_that_only_looks_odd_stays_as_it_is(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    assert written(monkeypatch, "secret", value).reveal() == value
    assert written(monkeypatch, "secrets", value) == (Secret(value),)


KEYS = {
    "as openssl writes it": lambda text: text,
    "with escaped line ends": lambda text: text.replace("\n", "\\n"),
    "with escaped CRLF": lambda text: text.replace("\n", "\\r\\n"),
    "with CRLF": lambda text: text.replace("\n", "\r\n"),
    "on one line": lambda text: text.replace("\n", " "),
    "in quotes, escaped": lambda text: f'"{text}"'.replace("\n", "\\n"),
    "in Base64": lambda text: base64.b64encode(text.encode()).decode(),
    "in Base64 of several lines": lambda text: base64.encodebytes(text.encode()).decode(),
}


@pytest.mark.parametrize("how", KEYS)
def test_pem_key_gets_its_lines_back(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    for key in (pem(RSA), pem(RSA) + pem(P256), PRIVATE):
        assert written(monkeypatch, "secret", KEYS[how](key)).reveal() == key.strip()
        assert written(monkeypatch, "text", KEYS[how](key)) == key.strip()


def every_setting() -> list[Declared]:
    registry = build_registry(load_plugins())
    return [*declared(Settings), *(row for key in registry.configurable for row in registry.settings_of(key))]


def test_doctor_names_the_variables_that_lost_their_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row for row in every_setting() if row.secret]
    assert len(rows) > 8
    for row in rows:
        monkeypatch.setenv(row.variable, f'"{SECRET}"')
    assert set(quoted_variables(every_setting())) == {row.variable for row in rows}
