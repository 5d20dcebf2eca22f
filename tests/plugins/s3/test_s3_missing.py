"""What is missing: the object or its bucket. The answer to HEAD has no body to say which."""

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from videoconf.errors import StorageContainerNotFound, StoredObjectNotFound
from videoconf.storage import EndpointGuard, StorageContext
from videoconf_s3.target import S3Target


def answering(status):
    def head(**asked):
        raise ClientError({"Error": {"Code": str(status)}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Head")

    return head


@pytest.mark.parametrize(
    ("head_bucket", "expected"),
    [
        (lambda **asked: {}, StoredObjectNotFound),
        (answering(404), StorageContainerNotFound),
        (answering(403), StoredObjectNotFound),
        (answering(503), StoredObjectNotFound),
    ],
    ids=["there", "missing", "not told", "not now"],
)
def test_a_bucket_is_missing_only_where_the_server_says_so(monkeypatch, head_bucket, expected):
    class Client:
        head_object = staticmethod(answering(404))

    Client.head_bucket = staticmethod(head_bucket)
    monkeypatch.setattr(S3Target, "_client", Client)
    context = StorageContext(lambda: datetime.now(UTC), EndpointGuard(()))
    target = S3Target({"bucket": "archives", "region": "eu-west-1"}, context)
    with pytest.raises(expected) as raised:
        target.stat("k")
    assert type(raised.value) is expected
