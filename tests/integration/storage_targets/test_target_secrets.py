"""A storage target's credentials are encrypted, rotated and never shown."""

import logging

import pytest
from sqlalchemy import select, text, update

from tests.integration.storage_targets.steps import CANARY, KEYS, PATH, rows, target
from tests.support.service import ON_SQLITE, Caller, in_process, service_of
from videoconf.api.services import services
from videoconf.audit import AuditEntry
from videoconf.cli.main import commands
from videoconf.db.transactions import read, write
from videoconf.errors import ConfigurationError
from videoconf.providers import Secret
from videoconf.storage_targets.cipher import Cipher
from videoconf.storage_targets.models import StorageTargetRow


def test_secrets_stay_out_of_database_responses_and_log(api, app, caplog, areas):
    areas.passwords["locked"] = "another"
    with caplog.at_level(logging.DEBUG):
        bodies = [api("PUT", PATH, target()).body, api("PUT", PATH, target("locked")).body, api("GET", PATH).body]
    assert CANARY not in caplog.text + str(bodies)
    with app.app_context(), read() as session:
        tables = ("storage_target", "audit_entry", "job")
        dump = str([list(session.execute(text(f"SELECT * FROM {table}"))) for table in tables])
        entries = session.execute(select(AuditEntry.action).order_by(AuditEntry.id)).scalars().all()
    assert CANARY not in dump
    assert "bucket" in dump
    assert entries == ["storage_target.set", "storage_target.refused"]


def test_target_without_an_encryption_key_is_refused(make_app, headers):
    api = service_of(make_app(), headers).api
    assert api("PUT", PATH, target()).problem == (503, "encryption_not_configured")
    assert api("GET", "/readyz").status == 200


def test_service_with_another_key_refuses_to_serve(api, app, make_app, headers):
    api("PUT", PATH, target())
    written = rows(app)[0].configuration
    with pytest.raises(ConfigurationError, match="VIDEOCONF_ENCRYPTION_KEYS lacks keys"):
        make_app(encryption_keys=KEYS[1:])
    with pytest.raises(ConfigurationError, match="VIDEOCONF_ENCRYPTION_KEYS lacks keys"):
        make_app()
    other = make_app(encryption_keys=KEYS[1:], serving=False)  # one that served before the row was written
    answer = Caller(in_process(other), headers())("GET", "/readyz")
    assert answer.status == 503
    assert "keys" in answer.json["checks"]["encryption"]
    with other.app_context(), pytest.raises(Exception, match="lacks the key"):
        services(other).targets.open(1)
    assert rows(app)[0].configuration == written


@ON_SQLITE
def test_invalid_key_is_reported_at_the_start_without_its_value(make_app):
    with pytest.raises(ConfigurationError) as refused:
        make_app(encryption_keys=(KEYS[0], Secret(CANARY)))
    assert "VIDEOCONF_ENCRYPTION_KEYS: key 2 is not a valid key" in str(refused.value)
    assert CANARY not in str(refused.value)


def test_rotation_makes_the_old_key_unnecessary(api, app, make_app, headers):
    for area in ("one", "two"):
        api("PUT", PATH, target(area))
    both = make_app(encryption_keys=(KEYS[1], KEYS[0]))
    result = both.test_cli_runner().invoke(commands, ["rotate-keys"])
    told = result.output.rstrip()
    assert (result.exit_code, told.endswith(": 2. The other keys can be removed.")) == (0, True), result
    assert "0." in both.test_cli_runner().invoke(commands, ["rotate-keys"]).output
    after = make_app(encryption_keys=KEYS[1:])
    with after.app_context():
        assert services(after).targets.open(2).plugin.configuration["password"] == CANARY
    with pytest.raises(ConfigurationError):
        make_app(encryption_keys=KEYS[:1])


@ON_SQLITE
def test_rotation_without_the_old_key_loses_nothing(api, app, make_app):
    api("PUT", PATH, target())
    before = rows(app)[0].configuration
    other = make_app(encryption_keys=KEYS[1:], serving=False)
    result = other.test_cli_runner().invoke(commands, ["rotate-keys"])
    assert result.exit_code == 1
    assert "is not configured" in result.output
    assert rows(app)[0].configuration == before


@ON_SQLITE
def test_own_credentials_complete_the_default_tenants_target(make_app, headers, monkeypatch):
    """Those of the service, where both are set and the caller sends neither."""

    def wrong(tenant, **members):
        api = service_of(make_app(encryption_keys=KEYS[:1]), headers).caller_with(tenant=tenant)
        return api("PUT", PATH, {"name": "AWSS3", "bucket": "recordings", **members}).wrong

    monkeypatch.setenv("VIDEOCONF_S3_ACCESS_KEY", "AKIAOWN")
    assert wrong("default") == ["accessKey", "region", "secretKey"]
    monkeypatch.setenv("VIDEOCONF_S3_SECRET_KEY", CANARY)
    assert wrong("default") == ["region"]
    assert wrong("other") == ["accessKey", "region", "secretKey"]
    assert wrong("default", accessKey="AKIAOTHER") == ["region", "secretKey"]


def test_row_moved_to_another_tenant_is_not_decrypted(api, app):
    api("PUT", PATH, target())
    with app.app_context(), write() as session:
        session.execute(update(StorageTargetRow).values(tenant="thief"))
    with app.app_context(), pytest.raises(Exception, match="lacks the key"):
        services(app).targets.open(1)


def test_changed_ciphertext_is_not_decrypted():
    cipher = Cipher(KEYS)
    ciphertext = bytearray(cipher.encrypt("t", {"a": 1}))
    assert cipher.decrypt("t", bytes(ciphertext)) == {"a": 1}
    for position in range(0, len(ciphertext), 7):
        changed = bytearray(ciphertext)
        changed[position] ^= 1
        with pytest.raises(Exception, match="lacks the key"):
            cipher.decrypt("t", bytes(changed))


@pytest.mark.parametrize(
    "wrong",
    [{"domain": ":00[sYQC"}, {"domain": "[::1"}, {"domain": "[1:::2]"}, {"domain": "x:99999"}, {"accountKey": "é"}],
)
def test_fields_that_no_url_can_hold_answer_422(client, headers, wrong):
    body = {"name": "AZURE", "container": "archives", "accountName": "account", "accountKey": "YQ=="} | wrong
    answer = client.put("/archives/storage-target", headers=headers(), json=body)
    assert (answer.status_code, answer.json["code"]) == (422, "validation_failed")
    assert list(answer.json["errors"]) == list(wrong)
