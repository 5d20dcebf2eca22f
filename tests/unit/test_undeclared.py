"""Variables with our prefix that the operator did not set are not misspelled settings."""

import pytest

from videoconf.app import create_app
from videoconf.configuration import declared
from videoconf.errors import ConfigurationError
from videoconf.settings import Settings
from videoconf.undeclared import undeclared_variables

KUBERNETES = {
    f"{prefix}_{name}": value
    for prefix in ("VIDEOCONF", "VIDEOCONF_WORKER", "VIDEOCONF_METRICS", "VIDEOCONF_FAKE", "VIDEOCONF_JANUS_ADMIN")
    for name, value in {
        "SERVICE_HOST": "10.0.0.7",
        "SERVICE_PORT": "8000",
        "SERVICE_PORT_HTTP": "8000",
        "PORT": "tcp://10.0.0.7:8000",
        "PORT_8000_TCP": "tcp://[fd00::7]:8000",
        "PORT_8000_TCP_PROTO": "tcp",
        "PORT_8000_TCP_PORT": "8000",
        "PORT_8000_TCP_ADDR": "10.0.0.7",
        "PORT_3478_UDP": "udp://10.0.0.7:3478",
    }.items()
}
"""What Kubernetes sets in each container for Services called `videoconf`, `videoconf-worker` and so on."""
DOCKER = {
    "VIDEOCONF_NAME": "/web/videoconf",
    "VIDEOCONF_PORT": "tcp://172.17.0.5:8000",
    "VIDEOCONF_ENV_VIDEOCONF_DATABASE_URL": "sqlite:///x",
    "VIDEOCONF_PORT_8000_TCP_ADDR": "172.17.0.5",
}
"""What Docker sets in a container that is linked to one called `videoconf`."""


@pytest.fixture
def serve(monkeypatch, fake_settings, tmp_path):
    """Give a function that makes a serving application with further variables."""
    for name, value in {
        "VIDEOCONF_PROVIDERS": "fake",
        "VIDEOCONF_DATABASE_URL": f"sqlite:///{tmp_path}/x.sqlite",
        "VIDEOCONF_AUTH": "disabled",
        "VIDEOCONF_DEVELOPMENT": "true",
        "VIDEOCONF_EMBEDDED_WORKERS": "0",
    }.items():
        monkeypatch.setenv(name, value)

    def serve(variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return create_app(serving=True)

    return serve


@pytest.mark.parametrize("injected", [KUBERNETES, DOCKER], ids=["Kubernetes", "Docker"])
def test_service_called_videoconf_starts_with_one_warning(serve, caplog, injected):
    serve(injected)
    [said] = [record.getMessage() for record in caplog.records if "ignored" in record.getMessage()]
    assert "enableServiceLinks: false" in said
    assert all(name in said for name in injected)


def test_misspelled_setting_is_refused_beside_kubernetes_ones(serve):
    with pytest.raises(ConfigurationError) as raised:
        serve({**KUBERNETES, "VIDEOCONF_METRICS_PORT": "9464", "VIDEOCONF_DATABASE_POOLSIZE": "9"})
    assert sorted(fault.partition(" ")[0] for fault in raised.value.faults) == [
        "VIDEOCONF_DATABASE_POOLSIZE",
        "VIDEOCONF_METRICS_PORT",
    ]


def test_setting_of_that_name_is_read(monkeypatch):
    monkeypatch.setenv("VIDEOCONF_PUBLIC_URL", "https://video.example.com")
    assert undeclared_variables(declared(Settings)).injected == ()


def test_file_of_a_setting_is_declared(monkeypatch):
    monkeypatch.setenv("VIDEOCONF_JWT_SECRETS_FILE", "/run/secrets/jwt")
    monkeypatch.setenv("VIDEOCONF_JWT_SECRET", "x")
    assert undeclared_variables(declared(Settings)).unknown == ("VIDEOCONF_JWT_SECRET",)
