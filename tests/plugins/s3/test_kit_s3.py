"""The S3 storage target passes the kit."""

import pytest

from tests.support.storage_kit import ServedKit
from videoconf_s3.target import S3Target


class TestS3(ServedKit):
    cls = S3Target
    range_status = 200  # rclone gives the range and does not say so
    foreign_configuration = {"endpoint": "https://storage.attacker.example"}  # noqa: RUF012  # only read

    @pytest.fixture
    def server(self, s3_server):
        return s3_server

    def denied(self, context):
        return self.made(context, secretKey="k" * 40)

    def without_container(self, context):
        return self.made(context, bucket="no-such-bucket")

    def unreachable(self, context):
        return self.made(context, endpoint="http://127.0.0.1:1")

    def at_server(self, context, url):
        return self.made(context, endpoint=url)
