"""What runs in containers: the Compose profile that needs no account, and the manifests for Kubernetes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from videoconf.configuration import declared
from videoconf.hooks import build_registry, load_plugins
from videoconf.settings import Settings

ROOT = Path(__file__).parents[2]
MANIFESTS = sorted((ROOT / "deploy/kubernetes").glob("*.yaml"))
GUIDE = ROOT / "docs/how-to/kubernetes.md"
FOLDER = "/var/lib/videoconf"


def test_each_image_of_others_is_named_by_digest():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"].values()
    named = {one["image"] for one in compose if "image" in one} - {"videoconf"}
    named |= set(re.findall(r"^ARG BASE=(.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    assert len(named) == 4
    assert [one for one in named if not re.fullmatch(r"[a-z/]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}", one)] == []


# --- Compose: the profile `fake` ------------------------------------------------------------


def make_secrets(folder):
    owner = f"{os.getuid()}:{os.getgid()}"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", ROOT / "deploy/fake-secrets.sh", folder, owner], check=True, env=environment)
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}


@pytest.fixture(scope="module")
def services():
    found = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return {name: service for name, service in found.items() if service.get("profiles") == ["fake"]}


def test_profile_needs_nothing_outside_it(services):
    """A service that is named on the command line starts with what it depends on: with no file of deploy/secrets."""
    assert {"fake-node", "fake-worker"} <= services.keys()
    for name, service in services.items():
        assert set(service.get("depends_on", ())) <= services.keys(), name
        assert "secrets" not in service, name
        assert not re.search(r"\$\{", yaml.safe_dump(service)), name


def test_secrets_are_made_once(tmp_path):
    first = make_secrets(tmp_path)
    assert set(first) >= {"database_url", "jwt_secrets", "encryption_keys", "fake_token_secret", "fake_webhook_secrets"}
    assert len(set(first.values())) == len(first)
    assert make_secrets(tmp_path) == first
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "secrets").iterdir()} == {0}


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_profile_serves_with_the_secrets_that_it_makes(services, tmp_path, empty_database_url):
    secrets = make_secrets(tmp_path)
    assert secrets["database_password"].strip() in secrets["database_url"]
    (tmp_path / "secrets/database_url").write_text(empty_database_url)
    settings = {
        name: value.replace(FOLDER, str(tmp_path)) for name, value in services["fake-node"]["environment"].items()
    }
    videoconf = [sys.executable, "-m", "flask", "--app", "videoconf.app"]
    for command in (["db", "upgrade"], ["videoconf", "doctor"], ["videoconf", "worker", "--once"]):
        environment = {**os.environ, **settings}
        done = subprocess.run([*videoconf, *command], env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert services["fake-migrate"]["command"] == ["videoconf", "db", "upgrade"]


# --- Kubernetes ------------------------------------------------------------


def documents():
    return [one for path in MANIFESTS for one in yaml.safe_load_all(path.read_text())]


def of_kind(*kinds):
    return [one for one in documents() if one["kind"] in kinds]


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", ["1.30", kubernetes_validate.latest_version()])
def test_manifest_is_valid(path, version):
    for one in yaml.safe_load_all(path.read_text()):
        kubernetes_validate.validate(one, version, strict=True)


def test_wrong_manifest_is_found():
    [job] = of_kind("Job")
    job["spec"]["template"]["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(job, kubernetes_validate.latest_version(), strict=True)


def pods():
    return {one["metadata"]["name"]: one["spec"]["template"] for one in of_kind("Deployment", "Job")}


def test_every_variable_of_the_manifests_is_a_setting():
    registry = build_registry(load_plugins())
    rows = [*declared(Settings), *(row for key in registry.configurable for row in registry.settings_of(key))]
    known = {row.variable for row in rows}
    text = "".join(re.sub(r"#.*", "", path.read_text()) for path in MANIFESTS)
    named = set(re.findall(r"VIDEOCONF_[A-Z_]+", text))
    assert {"VIDEOCONF_DATABASE_URL_FILE", "VIDEOCONF_PROVIDERS"} <= named
    assert {name for name in named if name not in known and name.removesuffix("_FILE") not in known} == set()


def test_manifests_contain_all_objects_they_refer_to():
    maps = {one["metadata"]["name"]: one for one in of_kind("ConfigMap")}
    secrets = {one["metadata"]["name"]: set(one["stringData"]) for one in of_kind("Secret")}
    for name, template in pods().items():
        spec = template["spec"]
        volumes = {one["name"]: one for one in spec["volumes"]}
        [container] = spec["containers"]
        mounts = {one["mountPath"]: volumes[one["name"]] for one in container["volumeMounts"]}
        assert {one["configMapRef"]["name"] for one in container.get("envFrom", ())} <= maps.keys(), name
        for variable in container["env"]:
            folder, _, file = variable["value"].rpartition("/")
            assert file in secrets[mounts[folder]["secret"]["secretName"]], variable
    [service] = of_kind("Service")
    node = pods()["videoconf"]
    assert service["spec"]["selector"].items() <= node["metadata"]["labels"].items()
    assert service["spec"]["ports"][0]["targetPort"] in {one["name"] for one in node["spec"]["containers"][0]["ports"]}
    [ingress] = of_kind("Ingress")
    backend = ingress["spec"]["rules"][0]["http"]["paths"][0]["backend"]["service"]
    assert (backend["name"], backend["port"]["name"]) == ("videoconf", service["spec"]["ports"][0]["name"])


def test_pods_get_no_service_links_and_no_privilege():
    found = pods()
    assert set(found) == {"videoconf", "videoconf-worker", "videoconf-migration"}
    for template in found.values():
        spec = template["spec"]
        [container] = spec["containers"]
        assert spec["enableServiceLinks"] is False
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] == 10001
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert any(mount["mountPath"] == "/tmp" for mount in container["volumeMounts"])
        assert all("sizeLimit" in one["emptyDir"] for one in spec["volumes"] if "emptyDir" in one)


def test_node_is_stopped_after_it_has_drained():
    spec = pods()["videoconf"]["spec"]
    [container] = spec["containers"]
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drains = int(re.search(r"^graceful_timeout = (\d+)", (ROOT / "videoconf/gunicorn_config.py").read_text(), re.M)[1])
    assert spec["terminationGracePeriodSeconds"] > pause + drains
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_every_manifest_is_in_the_guide():
    text = GUIDE.read_text()
    assert [path.name for path in MANIFESTS if f"deploy/kubernetes/{path.name}" not in text] == []
