"""An archive goes all the way to a storage server that verifies signatures."""

from base64 import b64encode
from urllib.parse import quote

import pytest

from tests.integration.storage_delivery.world import KEY, PATH, database_dump, get
from tests.support.service import ON_SQLITE, Caller, in_process
from tests.support.storage_servers import StorageServer
from videoconf.providers import ArchiveStatus


@ON_SQLITE
@pytest.mark.parametrize("scope", ["archive", "account", "none"])
@pytest.mark.needs("stores_archives")
def test_archive_is_stored_downloaded_and_deleted(make_world, storage_server: StorageServer, scope, caplog):
    world = make_world(scope)
    assert world.api("PUT", PATH, storage_server.target).status == 200
    archive_id = world.record(automatic=scope == "archive")
    if scope == "none":
        world.become(archive_id, ArchiveStatus.AVAILABLE)
        world.run_jobs()
    else:
        world.become(archive_id, ArchiveStatus.UPLOADED)
    (listed,) = world.api("GET", "/archives").json["items"]
    assert (listed["id"], listed["status"]) == (archive_id, "uploaded")
    assert listed["uploadTarget"] == storage_server.target["name"]
    content = world.content(archive_id)
    assert len(content) >= 375_000

    url = world.url(archive_id)
    whole = get(url)
    assert (whole.status, whole.data) == (200, content)
    assert get(url, Range="bytes=1000-1999").data == content[1000:2000]
    target, key = world.target_of(archive_id), world.row(archive_id).object_key
    for wrong in (url.replace(quote(key), "other"), url.partition("?")[0], url[:-3] + "abc"):
        assert get(wrong).status in (400, 401, 403, 404)

    assert target.stat(key).size_bytes == len(content)
    assert world.api("DELETE", f"/archives/{archive_id}").status == 200
    with pytest.raises(Exception, match="The target holds no object of this key"):
        target.stat(key)
    assert get(url).status in (403, 404)
    if world.service.provider.capabilities.deletes_archives:
        assert world.service.fake.list_archives(listed["sessionId"]) == []
    for path in ("", "/download"):
        assert world.api("GET", f"/archives/{archive_id}{path}").problem == (404, "archive_not_found")
    world.service.deliver()
    assert world.api("GET", f"/archives/{archive_id}").problem == (404, "archive_not_found")
    target.close()
    everything = caplog.text + database_dump(world)
    secret = storage_server.secret
    for form in (secret, b64encode(secret.encode()).decode(), quote(secret), secret.encode().hex()):
        assert form not in everything


@ON_SQLITE
def test_broken_target_on_a_real_server_is_refused(make_world, storage_server):
    world, good = make_world(), storage_server.target
    assert world.api("PUT", PATH, good).status == 200
    is_s3 = good["name"] == "AWSS3"
    wrong = {"secretKey": "wrong" * 8} if is_s3 else {"accountKey": "d3Jvbmc="}
    missing = {"bucket": "absent"} if is_s3 else {"container": "absent"}
    for changes, reason in ((wrong, "storage_denied"), (missing, "storage_container_not_found")):
        answer = world.api("PUT", PATH, {**good, **changes})
        assert (*answer.problem, answer.json["reason"]) == (422, "storage_target_rejected", reason)
    closed = {"endpoint": "http://127.0.0.1:9"} if is_s3 else {"domain": "127.0.0.1:9"}
    assert world.api("PUT", PATH, {**good, **closed}).problem == (504, "storage_timeout")
    shown = world.api("GET", PATH).json
    if is_s3:
        assert (shown["bucket"], shown["accessKey"]) == ("archives", "****" + good["accessKey"][-4:])
    assert not {"secretKey", "accountKey"} & shown.keys()
    assert storage_server.secret not in str(shown)


@ON_SQLITE
def test_read_only_bucket_is_refused(make_world, s3_server, httpserver):
    import re

    httpserver.expect_request(re.compile("/.*")).respond_with_data(
        "<Error><Code>AccessDenied</Code><Message>canary</Message></Error>", status=403
    )
    world = make_world()
    answer = world.api("PUT", PATH, {**s3_server.target, "endpoint": httpserver.url_for("").rstrip("/")})
    assert (*answer.problem, answer.json["reason"]) == (422, "storage_target_rejected", "storage_denied")
    assert b"canary" not in answer.body


@ON_SQLITE
@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "[::1]", "[::ffff:127.0.0.1]"],
)
def test_loopback_target_is_refused_outside_development(make_app, headers, s3_server, host):
    import socket

    app = make_app(encryption_keys=(KEY,), storage_hosts=("*", "*:*"))
    api = Caller(in_process(app), headers())
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        port = listener.getsockname()[1]
        for scheme in ("https", "http"):
            answer = api("PUT", PATH, {**s3_server.target, "endpoint": f"{scheme}://{host}:{port}"})
            assert answer.problem == (422, "storage_endpoint_refused")
        azure = {"name": "AZURE", "container": "abc", "accountName": "abc", "accountKey": "d3Jvbmc="}
        answer = api("PUT", PATH, {**azure, "domain": f"{host}:{port}"})
        assert answer.status in (422, 504), answer
        with pytest.raises(BlockingIOError):
            listener.accept()


@ON_SQLITE
def test_service_credentials_serve_the_default_tenant_alone(make_world, storage_server, monkeypatch):
    document = dict(storage_server.target)
    is_s3 = document["name"] == "AWSS3"
    fields = ("accessKey", "secretKey") if is_s3 else ("accountName", "accountKey")
    without = {name: value for name, value in document.items() if name not in fields}
    assert make_world().api("PUT", PATH, without).wrong == sorted(fields)
    for name, field in zip(
        ("ACCESS_KEY", "SECRET_KEY") if is_s3 else ("ACCOUNT_NAME", "ACCOUNT_KEY"), fields, strict=True
    ):
        monkeypatch.setenv(f"VIDEOCONF_{'S3' if is_s3 else 'AZURE'}_{name}", document[field])
    world = make_world()
    assert world.api("PUT", PATH, without).status == 200
    assert world.service.caller_with(tenant="other")("PUT", PATH, without).wrong == sorted(fields)
    half = {**without, fields[0]: document[fields[0]]}
    assert world.api("PUT", PATH, half).wrong == [fields[1]], "never a mixture"
