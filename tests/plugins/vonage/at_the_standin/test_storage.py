"""The account's storage target at a stand-in for Vonage."""

from __future__ import annotations

import json

import pytest

from tests.plugins.vonage.at_the_standin.steps import AZURE, AZURE_CONFIG, CONTAINER, OPENTOK, requests
from videoconf.errors import (
    ProviderRejected,
)

BUCKET = {"access_key": "AK", "secret_key": "SK", "bucket": "meetings", "region": "eu-west-1", "endpoint": None}
S3_CONFIG = {"accessKey": "AK", "secretKey": "SK", "bucket": "meetings"}
S3 = (
    {**BUCKET, "path_style": None, "prefix": "", "fallback": "none"},
    {"type": "s3", "config": {**S3_CONFIG, "endpoint": "https://s3.eu-west-1.amazonaws.com"}, "fallback": "none"},
)
OTHER_S3 = (
    {**BUCKET, "endpoint": "https://minio.example", "prefix": "", "fallback": "provider"},
    {"type": "s3", "config": {**S3_CONFIG, "endpoint": "https://minio.example"}, "fallback": "opentok"},
)
OTHER_AZURE = (
    {**CONTAINER, "domain": "blob.core.usgovcloudapi.net", "fallback": "provider"},
    {
        "type": "azure",
        "config": {**AZURE_CONFIG, "domain": "blob.core.usgovcloudapi.net"},
        "fallback": "opentok",
    },
)


@OPENTOK
@pytest.mark.parametrize(("configuration", "documented"), [S3, OTHER_S3, AZURE, OTHER_AZURE])
def test_storage_target_arrives_as_documented(standin, provider, configuration, documented):
    provider.apply_storage(documented["type"], configuration)
    (sent,) = requests(standin, "PUT", "/archive/storage")
    assert sent.path == f"/v2/project/{standin.account}/archive/storage"
    assert sent.headers["content-type"] == "application/json"
    assert json.loads(sent.body) == documented
    assert standin.archives.target.body == documented
    for _ in range(2):
        provider.clear_storage()
    assert standin.archives.target is None


@OPENTOK
def test_storage_target_that_vonage_lacks_is_refused(standin, provider, caplog):
    for kind, configuration in (("s3", {**S3[0], "prefix": "a/b"}), ("gcs", S3[0])):
        with pytest.raises(ProviderRejected):
            provider.apply_storage(kind, configuration)
    assert standin.received == []
    with pytest.raises(ProviderRejected) as caught:
        provider.apply_storage("s3", {**S3[0], "bucket": " ", "secret_key": "tops3cret"})
    assert standin.archives.target is None
    assert "tops3cret" not in caplog.text + repr(vars(caught.value))
