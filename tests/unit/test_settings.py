"""Settings: read once, all faults at once, no value repeated."""

import pickle
from dataclasses import dataclass

import pytest

from videoconf.api.limit_faults import limit_faults
from videoconf.app import create_app
from videoconf.configuration import declared, load, setting
from videoconf.errors import ConfigurationError
from videoconf.hooks import build_registry, load_plugins
from videoconf.settings import Secret, Settings

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


def test_unset_setting_has_its_default():
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


def test_a_setting_may_be_written_in_more_than_one_way(monkeypatch, tmp_path):
    monkeypatch.setenv("VIDEOCONF_PUBLIC_URL", "https://video.example.com:8443/meet/")
    monkeypatch.setenv("VIDEOCONF_PATH_PREFIX", "/video/")
    level = tmp_path / "level"
    level.write_text("info\n")
    monkeypatch.setenv("VIDEOCONF_LOG_LEVEL_FILE", str(level))
    development = tmp_path / "development"
    development.write_text("true\n")
    monkeypatch.setenv("VIDEOCONF_DEVELOPMENT_FILE", str(development))
    settings = load(Settings)
    assert settings.development
    assert settings.public_url == "https://video.example.com:8443/meet"
    assert (settings.path_prefix, settings.log_level) == ("/video", "INFO")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PATH_PREFIX", value) for value in ("video", "//video", "/a//b", "/a b", "/<x>", "/a?b", "http://x/y")),
        *(
            ("PUBLIC_URL", value)
            for value in (
                "video.example.com",
                "ftp://video.example.com",
                "https://",
                "https://x:port",
                "https://x:99999",
                "https://[::1",
                "https://me@x",
                "https://x?y",
                "https://x#y",
                "https://x y",
            )
        ),
    ],
)
def test_a_url_that_others_could_not_use_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"VIDEOCONF_{name}", value)
    [fault] = faults(Settings, "VIDEOCONF_")
    assert fault.startswith(f"VIDEOCONF_{name}: Must be a")


LIMITS = {
    ("rate_limit", "600/minute; 20 per second"): True,
    ("rate_limit", "lots"): False,
    ("rate_limit_address", "600/minute;"): False,
    ("rate_limit_storage", "redis://:x@127.0.0.1:1/0"): True,
    ("rate_limit_storage", "memcached://x"): False,
    ("rate_limit_storage", "redis://host:port"): False,
    ("cors_origins", "https://app.example.com"): True,
    ("cors_origins", "http://localhost:3000"): True,
    ("cors_origins", "http://[::1]:3000"): True,
    ("cors_origins", "https://*.example.com"): False,
    ("cors_origins", "*"): False,
    ("cors_origins", "null"): False,
    ("cors_origins", "https://app.example.com/"): False,
    ("cors_origins", "https://App.example.com"): False,
    ("cors_origins", "app.example.org"): False,
}


@pytest.mark.parametrize(("name", "value"), LIMITS)
def test_a_limit_that_cannot_be_put_in_force_is_refused(name, value):
    given = Secret(value) if name == "rate_limit_storage" else (value,) if name == "cors_origins" else value
    told = limit_faults(Settings(**{name: given}))
    assert (not told) == LIMITS[name, value]
    assert all(fault.startswith(f"VIDEOCONF_{name.upper()} ") and value not in fault for fault in told)


def test_all_faults_are_reported_at_once(monkeypatch):
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
def test_faults_do_not_repeat_values(monkeypatch, name):
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


def test_core_settings_have_help_and_secrets_are_marked():
    rows = {row.variable: row for row in declared(Settings)}
    assert all(row.help.endswith(".") for row in rows.values())
    secret = {name for name, row in rows.items() if row.secret}
    assert {"VIDEOCONF_DATABASE_URL", "VIDEOCONF_JWT_SECRETS"} <= secret
    assert rows["VIDEOCONF_PROVIDERS"].default == ("vonage",)


def test_serving_is_refused_with_every_fault_at_once(monkeypatch, fake_settings):
    monkeypatch.delenv("VIDEOCONF_FAKE_TOKEN_SECRET")
    monkeypatch.setenv("VIDEOCONF_PROVIDERS", "fake,unknown")
    monkeypatch.setenv("VIDEOCONF_JWT_SECRET", "misspelt")
    monkeypatch.setenv("VIDEOCONF_LOG_LEVEL", "loud")
    with pytest.raises(ConfigurationError) as raised:
        create_app()
    told = "\n".join(raised.value.faults)
    expected = (
        "VIDEOCONF_JWT_SECRET is not a setting",
        "VIDEOCONF_JWT_SECRETS",
        "VIDEOCONF_FAKE_TOKEN_SECRET",
        "unknown",
    )
    assert "VIDEOCONF_LOG_LEVEL" in told
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


def test_default_provider_without_credentials_names_its_settings():
    with pytest.raises(ConfigurationError, match="VIDEOCONF_VONAGE_API_KEY"):
        create_app(Settings(jwt_secrets=(Secret("x" * 32),)))


def test_setting_names_do_not_clash_with_kubernetes():
    registry = build_registry(load_plugins())
    rows = [*declared(Settings), *(row for key in registry.configurable for row in registry.settings_of(key))]
    assert len(rows) > 40
    assert [row.variable for row in rows if row.variable.endswith(("_PORT", "_HOST", "_ADDR"))] == []


@pytest.mark.parametrize(
    "address", ["9464", "localhost", "127.0.0.1:0", "127.0.0.1:65536", "::1:9464", "a b:1", "http://a:1"]
)
def test_metrics_address_is_checked(monkeypatch, address):
    monkeypatch.setenv("VIDEOCONF_METRICS_BIND", address)
    with pytest.raises(ConfigurationError, match="VIDEOCONF_METRICS_BIND"):
        load(Settings)


@pytest.mark.parametrize("address", ["", "127.0.0.1:9464", "[::1]:9464", "metrics.internal:1", "0.0.0.0:65535"])
def test_metrics_address_is_accepted(monkeypatch, address):
    monkeypatch.setenv("VIDEOCONF_METRICS_BIND", address)
    assert load(Settings).metrics_bind == address
