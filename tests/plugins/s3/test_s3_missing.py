"""What is missing: the object or its bucket. The answer to HEAD has no body to say which."""

from datetime import UTC, datetime

import pytest
from werkzeug import Response

from videoconf.errors import StorageContainerNotFound, StoredObjectNotFound
from videoconf.storage import EndpointGuard, StorageContext
from videoconf_s3.target import S3Target


@pytest.mark.parametrize(
    ("head_bucket", "expected"),
    [
        (200, StoredObjectNotFound),
        (404, StorageContainerNotFound),
        (403, StoredObjectNotFound),
        (503, StoredObjectNotFound),
    ],
    ids=["exists", "missing", "not permitted", "not available"],
)
def test_bucket_counts_as_missing_only_after_its_own_404(httpserver, head_bucket, expected):
    httpserver.expect_request("/archives/k", method="HEAD").respond_with_response(Response(status=404))
    httpserver.expect_request("/archives", method="HEAD").respond_with_response(Response(status=head_bucket))
    configuration = {
        "bucket": "archives",
        "region": "eu-west-1",
        "endpoint": httpserver.url_for("").rstrip("/"),
        "access_key": "key",
        "secret_key": "secret",
    }
    context = StorageContext(lambda: datetime.now(UTC), EndpointGuard(S3Target.hosts, development=True))
    target = S3Target(configuration, context)
    with pytest.raises(expected) as raised:
        target.stat("k")
    assert type(raised.value) is expected
    assert {request.path for request, _ in httpserver.log} == {"/archives/k", "/archives"}
    target.close()
