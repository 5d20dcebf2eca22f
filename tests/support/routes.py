"""Routes that are compiled once a process: each test makes applications, and nearly all have the same routes.

Werkzeug compiles each rule of each map, which takes longer than all else in making an application.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import Map, MapAdapter, Rule, RuleFactory

_compiled: dict[Any, Map] = {}


class SharedRoutes(Map):
    """A map whose rules another map compiles, that of the first application with the same rules."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._added: list[Rule] = []
        self._shared: Map | None = None

    def add(self, rulefactory: RuleFactory) -> None:
        self._added += rulefactory.get_rules(self)
        self._shared = None

    @property
    def shared(self) -> Map:
        """The map with the compiled rules."""
        if self._shared is None:
            options = {
                "strict_slashes": self.strict_slashes,
                "merge_slashes": self.merge_slashes,
                "redirect_defaults": self.redirect_defaults,
                "host_matching": self.host_matching,
                "default_subdomain": self.default_subdomain,
            }
            key = (*options.values(), *self.converters.items(), *map(_content, self._added))
            if key not in _compiled:
                _compiled[key] = Map(map(_unbound, self._added), converters=self.converters, **options)
            self._shared = _compiled[key]
        return self._shared

    def iter_rules(self, endpoint: Any = None) -> Iterator[Rule]:
        return self.shared.iter_rules(endpoint)

    def is_endpoint_expecting(self, endpoint: Any, *arguments: str) -> bool:
        return self.shared.is_endpoint_expecting(endpoint, *arguments)

    def bind(self, *args: Any, **options: Any) -> MapAdapter:
        return self.shared.bind(*args, **options)

    def bind_to_environ(self, *args: Any, **options: Any) -> MapAdapter:
        return self.shared.bind_to_environ(*args, **options)

    def update(self) -> None:
        self.shared.update()


def _unbound(rule: Rule) -> Rule:
    copy = rule.empty()
    copy.provide_automatic_options = _answers_options(rule)  # type: ignore[attr-defined]  # Flask sets it on its rules
    return copy


def _answers_options(rule: Rule) -> bool:
    return bool(getattr(rule, "provide_automatic_options", False))


def _content(rule: Rule) -> tuple[Any, ...]:
    """Return all that decides what a rule matches."""
    return (
        rule.rule,
        rule.endpoint,
        frozenset(rule.methods or ()),
        (rule.host, rule.subdomain, rule.redirect_to, tuple((rule.defaults or {}).items())),
        (rule.strict_slashes, rule.merge_slashes, _answers_options(rule)),
    )


@contextmanager
def shared_routes() -> Iterator[None]:
    """Let the applications that are made meanwhile share their routes. Rules that a test adds later work too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Flask, "url_map_class", SharedRoutes)
        yield
