"""What the documentation says of the code, held against the code. The generated pages are checked by `make check`."""

import json
import re
import subprocess
import sys
from pathlib import Path

from videoconf import errors
from videoconf.api.described import describe
from videoconf.api.openapi import OPERATIONS, openapi_document
from videoconf.app import create_app
from videoconf.edge import RESOURCES
from videoconf.settings import Settings

ROOT = Path(__file__).parents[2]


def all_errors(cls=errors.VideoconfError):
    for child in cls.__subclasses__():
        if child.__module__.startswith("videoconf.errors."):
            yield child
            yield from all_errors(child)


def test_shipped_operations_match_the_code():
    described = describe(create_app(Settings(), serving=False), [resource.blueprint for resource in RESOURCES])
    assert described == json.loads(OPERATIONS.read_text()), "run `make docs`"


def test_committed_openapi_document_matches_the_served_one():
    served = openapi_document(create_app(Settings(), serving=False))
    assert served == json.loads((ROOT / "docs/reference/openapi.json").read_text()), "run `make docs`"


def test_error_of_a_plugin_is_not_documented():
    """A plugin is loaded before the operations are declared."""
    declared = "class Odd(ProviderError): code = 'odd'\nfrom videoconf.api.failures import PROVIDER, every_error\n"
    script = f"from videoconf.errors import ProviderError\n{declared}assert Odd not in {{*PROVIDER, *every_error()}}"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_error_tree_lists_every_error_with_status_and_code():
    tree = errors.__doc__ or ""
    for cls in all_errors():
        if "code" in vars(cls) and not cls.__subclasses__():
            assert re.search(rf"{cls.__name__}\s+{cls.status} {cls.code}\b", tree), cls.__name__


def test_error_tree_lists_only_existing_errors():
    classes = {cls.__name__: cls for cls in all_errors()}
    told = re.findall(r"─ (\w+)\s+(\d{3}) (\w+)", errors.__doc__ or "")
    assert told
    for name, status, code in told:
        assert (classes[name].status, classes[name].code) == (int(status), code)


def test_every_error_has_a_code_of_its_own():
    codes = [cls.code for cls in all_errors()]
    assert len(codes) == len(set(codes))


def test_every_error_is_explained():
    assert all(vars(cls).get("__doc__") for cls in all_errors())


def test_each_error_can_be_imported_from_the_package():
    assert [cls for cls in all_errors() if getattr(errors, cls.__name__, None) is not cls] == []
