"""Settings: read once, all faults at once, no value repeated."""

import pickle
from dataclasses import dataclass

import pytest

from videoconf.app import create_app
from videoconf.errors import ConfigurationError
from videoconf.settings import Secret, Settings, declared, load, setting, unknown_variables

CANARY = "canary-4711-canary-4711-canary-4711-canary"


@dataclass(frozen=True)
class Sample:
    name: str = setting("A name.")
    colour: str = setting("A colour.", default="red", choices=("red", "blue"))
    limit_seconds: int = setting("A limit.", default=5, minimum=1, maximum=9)
    share: float = setting("A share.", default=0.5)
    is_open: bool = setting("Whether it is open.", default=False)
    key: Secret = setting("A key.", default=Secret(""))
    keys: tuple[Secret, ...] = setting("Keys.", default=())
    words: tuple[str, ...] = setting("Words.", default=("a", "b"))


def faults(cls=Sample, prefix="SAMPLE_"):
    with pytest.raises(ConfigurationError) as raised:
        load(cls, prefix)
    return raised.value.faults


@pytest.fixture(autouse=True)
def named(monkeypatch):
    monkeypatch.setenv("SAMPLE_NAME", "x")


def test_what_is_not_set_has_its_default():
    assert load(Sample, "SAMPLE_") == Sample(name="x")


def test_every_type_is_read(monkeypatch):
    given = {
        "COLOUR": "blue",
        "LIMIT_SECONDS": "9",
        "SHARE": "0.25",
        "IS_OPEN": "true",
        "KEY": "k",
        "KEYS": "k1, k2",
        "WORDS": "one,two, three",
    }
    for name, value in given.items():
        monkeypatch.setenv(f"SAMPLE_{name}", value)
    assert load(Sample, "SAMPLE_") == Sample(
        name="x",
        colour="blue",
        limit_seconds=9,
        share=0.25,
        is_open=True,
        key=Secret("k"),
        keys=(Secret("k1"), Secret("k2")),
        words=("one", "two", "three"),
    )


def test_a_file_gives_a_value_without_its_last_newline(monkeypatch, tmp_path):
    path = tmp_path / "secret"
    path.write_text("from-a-file\n")
    monkeypatch.setenv("SAMPLE_KEY_FILE", str(path))
    assert load(Sample, "SAMPLE_").key.reveal() == "from-a-file"


def test_all_faults_are_told_at_once(monkeypatch):
    monkeypatch.delenv("SAMPLE_NAME")
    monkeypatch.setenv("SAMPLE_COLOUR", "green")
    monkeypatch.setenv("SAMPLE_LIMIT_SECONDS", "10")
    monkeypatch.setenv("SAMPLE_SHARE", "much")
    monkeypatch.setenv("SAMPLE_KEY_FILE", "/no/such/file")
    told = faults()
    assert len(told) == 5
    for name in ("NAME", "COLOUR", "LIMIT_SECONDS", "SHARE", "KEY_FILE"):
        assert any(f"SAMPLE_{name}" in fault for fault in told), name
    assert any("A name." in fault for fault in told), "a missing setting says what it is"


@pytest.mark.parametrize("name", ["COLOUR", "LIMIT_SECONDS", "SHARE", "IS_OPEN"])
def test_no_fault_repeats_a_value(monkeypatch, name):
    monkeypatch.setenv(f"SAMPLE_{name}", CANARY)
    assert CANARY not in "".join(faults())


def test_a_secret_prints_as_stars(monkeypatch):
    monkeypatch.setenv("SAMPLE_KEY", CANARY)
    monkeypatch.setenv("SAMPLE_KEYS", CANARY)
    settings = load(Sample, "SAMPLE_")
    for text in (repr(settings), str(settings), str(settings.key), f"{settings.key}", repr(settings.keys)):
        assert CANARY not in text
    with pytest.raises(TypeError):
        pickle.dumps(settings.key)
    assert settings.key.reveal() == CANARY


def test_the_core_declares_each_setting_with_help_and_marks_what_is_secret():
    rows = {row.variable: row for row in declared(Settings)}
    assert all(row.help.endswith(".") for row in rows.values())
    secret = {name for name, row in rows.items() if row.secret}
    assert {"VIDEOCONF_DATABASE_URL", "VIDEOCONF_JWT_SECRETS"} <= secret
    assert rows["VIDEOCONF_PROVIDERS"].default == ("vonage",)


def test_a_misspelt_variable_is_found_and_a_file_variant_is_not_one(monkeypatch):
    monkeypatch.setenv("SAMPLE_LIMIT_SECOND", "1")
    monkeypatch.setenv("SAMPLE_KEY_FILE", "/run/secrets/key")
    assert list(unknown_variables(declared(Sample, "SAMPLE_"), "SAMPLE_")) == ["SAMPLE_LIMIT_SECOND"]


def test_serving_is_refused_with_every_fault_at_once(monkeypatch, fake_settings):
    monkeypatch.delenv("VIDEOCONF_FAKE_TOKEN_SECRET")
    monkeypatch.setenv("VIDEOCONF_PROVIDERS", "fake,nobody")
    monkeypatch.setenv("VIDEOCONF_JWT_SECRET", "misspelt")
    with pytest.raises(ConfigurationError) as raised:
        create_app()
    told = "\n".join(raised.value.faults)
    expected = "VIDEOCONF_JWT_SECRET is no setting", "VIDEOCONF_JWT_SECRETS", "VIDEOCONF_FAKE_TOKEN_SECRET", "nobody"
    for part in expected:
        assert part in told


def test_a_short_secret_refuses_to_serve(fake_settings):
    with pytest.raises(ConfigurationError, match="32 bytes"):
        create_app(Settings(providers=("fake",), jwt_secrets=(Secret("short"),)))


def test_authentication_is_switched_off_in_development_only(fake_settings, caplog):
    with pytest.raises(ConfigurationError, match="VIDEOCONF_DEVELOPMENT"):
        create_app(Settings(providers=("fake",), auth="disabled"))
    create_app(Settings(providers=("fake",), auth="disabled", development=True, embedded_workers=0))
    assert "DISABLED" in caplog.text


def test_the_default_provider_without_credentials_is_told_with_its_settings():
    with pytest.raises(ConfigurationError, match="VIDEOCONF_VONAGE_API_KEY"):
        create_app(Settings(jwt_secrets=(Secret("x" * 32),)))
