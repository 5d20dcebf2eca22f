"""Beginning a plugin: what is refused, and that what is written is Python and TOML. Its tests run elsewhere."""

import ast
import tomllib

import pytest
from click.testing import CliRunner

from videoconf import __version__
from videoconf.cli.new_plugin import new_plugin


def begin(*arguments):
    return CliRunner().invoke(new_plugin, arguments)


@pytest.mark.parametrize("label", ['Zoo "Meet" \\', "Zoo's Ünï", "$label"])
def test_written_files_can_be_parsed(tmp_path, label):
    answer = begin("zoo", "--into", str(tmp_path), "--label", label)
    assert answer.exit_code == 0, answer.output
    folder = tmp_path / "videoconf-zoo"
    files = [path for path in folder.rglob("*") if path.is_file()]
    for path in files:
        if path.suffix == ".py":
            ast.parse(path.read_text())
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["videoconf"] == {"zoo": "videoconf_zoo"}
    assert project["dependencies"] == ["videoconf>=0.1,<0.2"]
    assert __version__.startswith("0.1."), "the line above, and the guide, name this version and the next"
    assert len(files) == 6


@pytest.mark.parametrize("name", ["Zoo", "z", "2zoo", "zoo-meet", "../zoo", "z" * 33])
def test_name_that_is_not_a_key_is_refused(tmp_path, name):
    answer = begin(name, "--into", str(tmp_path))
    assert answer.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_an_installed_plugin_has_is_refused(tmp_path):
    answer = begin("vonage", "--into", str(tmp_path))
    assert answer.exit_code == 2
    assert "videoconf has a plugin of this name" in answer.output
    assert list(tmp_path.iterdir()) == []


def test_existing_folder_is_not_touched(tmp_path):
    (tmp_path / "videoconf-zoo").mkdir()
    answer = begin("zoo", "--into", str(tmp_path))
    assert answer.exit_code == 1
    assert "exists already" in answer.output
    assert list((tmp_path / "videoconf-zoo").iterdir()) == []
