"""``videoconf new-plugin NAME``: begin a provider's plugin, with tests that say what is still to be written."""

from __future__ import annotations

from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from string import Template

import click

from videoconf import __version__
from videoconf.hooks.loader import GROUP
from videoconf.hooks.registry import KEY

FILES = {
    "pyproject.toml": "pyproject.toml.tmpl",
    "README.md": "README.md.tmpl",
    "videoconf_{key}/__init__.py": "hooks.py.tmpl",
    "videoconf_{key}/provider.py": "provider.py.tmpl",
    "tests/test_conformance.py": "test_conformance.py.tmpl",
    "tests/webhooks/README.md": "webhooks.md.tmpl",
}
"""Where each template goes."""


@click.command("new-plugin")
@click.argument("name")
@click.option("--label", help="The vendor's name for people; NAME with a capital when absent.")
@click.option(
    "--into",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="The folder in which to make videoconf-NAME; the present one when absent.",
)
def new_plugin(name: str, label: str | None, into: Path) -> None:
    """Begin the plugin of a provider in a folder of its own.

    NAME is the provider's key in settings and URLs, like `acme`.
    """
    if not KEY.fullmatch(name):
        raise click.BadParameter(
            "It has 2 to 32 lower-case letters and digits and begins with a letter, like acme.", param_hint="NAME"
        )
    for point in entry_points(group=GROUP, name=name):
        whose = point.dist.name if point.dist else point.value
        raise click.BadParameter(f"{whose} has a plugin of this name, and a key has one.", param_hint="NAME")
    folder = into / f"videoconf-{name}"
    try:
        folder.mkdir(parents=True)
        write_plugin(folder, name, label or name.capitalize())
    except FileExistsError:
        raise click.ClickException(f"{folder} exists already.") from None
    except OSError as error:
        raise click.ClickException(f"{folder} cannot be written: {error.strerror}") from None
    click.echo(f"{folder} is there. In it: pip install -e '.[test]', then pytest, which says what is to be written.")


def write_plugin(folder: Path, key: str, label: str) -> None:
    """Write the files of a new plugin into an empty folder."""
    major, minor, *_ = __version__.split(".")
    values = {
        "key": key,
        "KEY": key.upper(),
        "label": label.replace("\\", "").replace('"', ""),
        "Name": key.capitalize(),
        "version": f"{major}.{minor}",
        "next_version": f"{major}.{int(minor) + 1}",
    }
    for target, template in FILES.items():
        path = folder / target.format(key=key)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (files(__name__) / "template" / template).read_text("utf-8")
        path.write_text(Template(text).substitute(values), "utf-8")
