"""The Azure storage target passes the kit."""

import base64
from urllib.parse import urlsplit

import pytest

from tests.support.storage_kit import ServedKit
from videoconf_azure.target import AzureTarget


class TestAzure(ServedKit):
    cls = AzureTarget
    foreign_configuration = {"domain": "storage.attacker.example"}  # noqa: RUF012  # only read

    @pytest.fixture
    def server(self, azure_server):
        return azure_server

    def denied(self, context):
        return self.made(context, accountKey=base64.b64encode(b"k" * 48).decode())

    def without_container(self, context):
        return self.made(context, container="no-such-container")

    def unreachable(self, context):
        return self.made(context, domain="127.0.0.1:1")

    def at_server(self, context, url):
        return self.made(context, domain=urlsplit(url).netloc)
