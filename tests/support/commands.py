"""Commands, run in this process on an application of a test."""

import json

from click.testing import CliRunner
from flask.cli import ScriptInfo

from videoconf.cli.main import commands


def run(app, *args):
    """Run a command; return its result, of which an exception other than an exit fails the test."""
    result = CliRunner().invoke(commands, args, obj=ScriptInfo(create_app=lambda: app))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.output
    return result


def run_json(app, *args, exit_code=0):
    """Run a command that prints JSON; return what it prints."""
    result = run(app, *args, "--json")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)
