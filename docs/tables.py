"""The tables of the documentation, made from the code: ``make docs`` writes them, ``make check`` compares them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import click
import cog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from videoconf import errors
from videoconf.api.openapi import openapi_document
from videoconf.api.permissions import Permission
from videoconf.app import create_app
from videoconf.cli import main as cli
from videoconf.hooks import build_registry, load_plugins, settings_prefix, spec
from videoconf.providers import Capabilities, Capability, GuardedClient, ProviderContext
from videoconf.settings import Declared, Secret, Settings, declared
from videoconf.testing import ProviderConformance, StorageConformance

METHODS = ("get", "post", "put", "patch", "delete")


def settings() -> None:
    """The core's settings, and those of each provider and storage kind in the tree."""
    table(("variable", "default", "what it is"), (setting_row(row) for row in declared(Settings)))
    registry = build_registry(load_plugins())
    for key, registered in sorted(registry.configurable.items()):
        rows = declared(registered.cls.Settings, settings_prefix(key))
        kind = "Provider" if key in registry.providers else "Storage"
        cog.outl(f"\n{kind} `{key}` ({registered.cls.label}):\n")
        table(("variable", "default", "what it is"), (setting_row(row) for row in rows))


def setting_row(row: Declared) -> tuple[str, str, str]:
    default = "required" if row.required else shown(row.default)
    named = ", ".join(f"`{choice}`" for choice in row.choices if choice)  # an empty one is told by the help
    choices = f" One of {named}." if named else ""
    return f"`{row.variable}`", default, f"{row.help}{choices}{' *Secret.*' if row.secret else ''}"


def shown(default: object) -> str:
    if isinstance(default, Secret):
        default = default.reveal()
    if isinstance(default, tuple):
        default = ",".join(default)
    if isinstance(default, bool):
        default = str(default).lower()
    return f"`{default}`" if default != "" else ""


def endpoints() -> None:
    """Every operation of the OpenAPI document."""
    rows = ((name, operation["summary"].rstrip("."), permission(operation)) for name, operation in operations())
    table(("operation", "what it does", "permission"), rows)


def permissions() -> None:
    """Every permission with the operations that ask for it."""
    rows = (
        (f"`{one}`", ", ".join(name for name, operation in operations() if operation.get("x-permission") == one))
        for one in Permission
    )
    table(("permission", "operations"), rows)


def operations() -> Iterator[tuple[str, dict[str, str]]]:
    """Each operation by its method and path."""
    for path, methods in openapi_document(create_app(Settings(), serving=False))["paths"].items():
        for method, operation in methods.items():
            if method in METHODS:
                yield f"`{method.upper()} {path}`", operation


def commands() -> None:
    """Every command of the command line but those of groups, which are one."""
    with click.Context(cli.commands) as context:
        found = ((name, cli.commands.get_command(context, name)) for name in cli.commands.list_commands(context))
        rows = [(f"`{name}`", command.get_short_help_str(200).rstrip(".")) for name, command in found if command]
    table(("`flask --app videoconf.app videoconf …`", "what it does"), rows)


def permission(operation: dict[str, str]) -> str:
    return f"`{operation['x-permission']}`" if "x-permission" in operation else ""


def error_codes() -> None:
    """Every code that an answer can carry, by status. A plugin's own errors have the codes of these."""
    ours = (cls for cls in subclasses(errors.VideoconfError) if cls.__module__ == errors.__name__)
    classes = sorted(ours, key=lambda cls: (cls.status, cls.code))
    table(("status", "code", "meaning"), ((str(cls.status), f"`{cls.code}`", first_line(cls)) for cls in classes))


def subclasses(cls: type[errors.VideoconfError]) -> Iterator[type[errors.VideoconfError]]:
    for child in cls.__subclasses__():
        yield child
        yield from subclasses(child)


def hooks() -> None:
    """Each hook with its signature."""
    for name, function in inspect.getmembers(spec, inspect.isfunction):
        if name.startswith("videoconf_"):
            cog.outl(f"### `{name}{inspect.signature(function)}`\n\n{inspect.getdoc(function)}\n")


def capabilities() -> None:
    """Each capability with what it means."""
    source = inspect.getsource(Capability)
    rows = []
    for member in Capability:
        after = source.split(f'{member.name} = "{member.value}"', 1)[1]
        rows.append((f"`{member.value}`", without_roles(after.split('"""')[1])))
    table(("capability", "meaning"), rows)


def capability_facts() -> None:
    """Each field of Capabilities, with its default and what it means."""
    field = r'^    (\w+): .+ = (.+?)(?:  # .*)?\n    """([^"]+)"""'
    found = re.findall(field, inspect.getsource(Capabilities), re.MULTILINE)
    assert [name for name, *_ in found] == [field.name for field in dataclasses.fields(Capabilities)]
    rows = ((f"`{name}`", f"`{default}`", without_roles(meaning)) for name, default, meaning in found)
    table(("fact", "default", "meaning"), rows)


def without_roles(text: str) -> str:
    """Write a docstring as Markdown: what it refers to by the last part of its name."""
    return re.sub(r":\w+:`~?(?:\w+\.)*(\w+)`", r"`\1`", " ".join(text.split()))


def provider_matrix() -> None:
    """What each provider of the tree can do, with example settings where these decide."""
    columns = dict(example_providers())
    rows: list[tuple[str, ...]] = [
        (f"`{one.value}`", *("✓" if one in can else "" for can in columns.values())) for one in Capability
    ]
    facts: dict[str, Callable[[Capabilities], str]] = {
        "roles": lambda can: ", ".join(sorted(can.roles)),
        "room is made": lambda can: can.session_creation.value.replace("_", " "),
        "create may be repeated": lambda can: "✓" if can.idempotent_create else "",
        "longest token life": lambda can: f"{can.max_token_ttl.total_seconds() / 3600:g} h",
        "longest data": lambda can: str(can.max_data_characters),
        "webhooks": lambda can: can.webhook_authentication.value.replace("_", " "),
        "event ids": lambda can: "✓" if can.event_ids else "",
        "storage target is for": lambda can: can.storage_scope.value,
    }
    rows += [(name, *(tell(can) for can in columns.values())) for name, tell in facts.items()]
    table(("", *columns), rows)


def example_providers() -> Iterator[tuple[str, Capabilities]]:
    """Make each provider with settings of no value; nothing is called."""
    context = ProviderContext(
        lambda: datetime.now(UTC), lambda account: GuardedClient(provider="docs", account=account)
    )
    installed = build_registry(load_plugins()).providers
    key = rsa.generate_private_key(65537, 2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    secret = Secret("whsec_" + "A" * 44)
    fake = {"webhook_secrets": (secret,), "token_secret": Secret("t" * 32)}
    vonage = {"signature_secrets": (Secret("s" * 32),)}
    examples: dict[str, tuple[str, dict[str, Any]]] = {
        "vonage, OpenTok": ("vonage", {**vonage, "api_key": "123456", "api_secret": Secret("a" * 40)}),
        "vonage, unified": (
            "vonage",
            {**vonage, "application_id": str(uuid.UUID(int=1)), "private_key": Secret(key.decode())},
        ),
        "fake": ("fake", fake),
    }
    presets = next(row.choices for row in declared(installed["fake"].cls.Settings) if row.field == "preset")
    examples |= {f"fake, {name}": ("fake", {**fake, "preset": name}) for name in presets if name}
    for name, (provider, settings) in examples.items():
        cls = installed[provider].cls
        yield name, cls.create(cls.Settings(**settings), context).capabilities


def scenarios() -> None:
    """Each scenario of the conformance kits."""
    rows = []
    for kit in (ProviderConformance, StorageConformance):
        for name, scenario in inspect.getmembers(kit, inspect.isfunction):
            if found := re.fullmatch(r"test_([PWS])(\d\d)_\w+", name):
                rows.append((f"{found[1]}-{found[2]}", first_line(scenario)))
    table(("scenario", "what holds"), sorted(rows, key=lambda row: ("PWS".index(row[0][0]), row)))


def first_line(cls: object) -> str:
    return " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    for row in (head, ("---",) * len(head), *rows):
        cog.outl("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |")
