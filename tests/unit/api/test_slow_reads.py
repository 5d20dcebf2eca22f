"""What slow reads leave behind when reads of one tenant end at the same time."""

import collections
import importlib
from types import SimpleNamespace

import pytest
from flask import Flask, g

from videoconf.api import slow_reads
from videoconf.tenancy import Caller


class Emptied(collections.OrderedDict):
    """Each entry is taken out at once, as by a quick read that ends in another thread."""

    def __setitem__(self, key, value):
        super().__setitem__(key, value)
        self.pop(key)


@pytest.fixture
def emptied():
    """Let the module use such a dictionary."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(collections, "OrderedDict", Emptied)
        importlib.reload(slow_reads)
    yield
    importlib.reload(slow_reads)


def test_quick_read_that_ends_meanwhile_fails_no_slow_read(emptied, monkeypatch):
    monkeypatch.setattr(slow_reads, "SLOW_SECONDS", 0.0)
    app = Flask("test")
    app.testing = True
    app.before_request(lambda: setattr(g, "caller", Caller("tester", "default")))
    slow_reads.init_slow_reads(app, SimpleNamespace(tenant_slow_reads=1))
    app.add_url_rule("/", view_func=lambda: "read")
    assert app.test_client().get("/").text == "read"
