"""The scenarios of a provider: what it is, sessions, tokens. Those of its failures, archives and webhooks join in."""

from __future__ import annotations

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from marshmallow import RAISE

from videoconf.configuration import declared
from videoconf.errors import ProviderError
from videoconf.hooks import settings_prefix, undeclared_capabilities
from videoconf.providers import Capability, JoinToken, Provider, Role, SessionRef, StorageScope
from videoconf.providers.base import CONTRACT_VERSION
from videoconf.testing.browser_scenarios import BrowserScenarios
from videoconf.testing.capability_scenarios import CapabilityScenarios
from videoconf.testing.driven import Driven
from videoconf.testing.failure_scenarios import FailureScenarios
from videoconf.testing.harness import Harness, wrong
from videoconf.testing.operations import MEETING, UNKNOWN, issue, session_request
from videoconf.testing.trust_scenarios import TrustScenarios
from videoconf.testing.webhook_scenarios import WebhookScenarios

KEY = re.compile(r"[a-z][a-z0-9]{1,31}")
PRINTABLE = re.compile(r"[\x21-\x7e]{1,255}")
CHANNEL = re.compile(r"[a-z][a-z0-9_-]{0,31}")
THREADS = 8
BEARERS = (("kit-ann", None), ("kit-ann", "Ann"), ("kit.bob+1@example.org", "kit-ann"), (None, "kit-ann"), (None, None))
"""Attendees and names. A name is free text, and may be another attendee's id."""


class ProviderConformance(
    FailureScenarios, TrustScenarios, CapabilityScenarios, BrowserScenarios, WebhookScenarios, Driven
):
    """What the core relies on in any provider. Subclass it as ``Test…`` and write what :class:`Driven` asks for."""

    # --- what it is -------------------------------------------------------------------------------------------------

    def test_P01_names_and_settings(self, provider: Provider) -> None:
        """It has a key, a label, and settings that the core can read from the environment."""
        cls = type(provider)
        if not KEY.fullmatch(getattr(cls, "key", "")):
            wrong(f"`key` is {getattr(cls, 'key', None)!r}: it must match {KEY.pattern}")
        if not (isinstance(getattr(cls, "label", None), str) and cls.label.strip()):
            wrong("`label` is the vendor's name for people; it must be a text")
        if cls.contract_version != CONTRACT_VERSION:
            wrong(f"`contract_version` is {cls.contract_version}, and this videoconf offers {CONTRACT_VERSION}")
        if not dataclasses.is_dataclass(cls.Settings):
            wrong("`Settings` must be a frozen dataclass of setting() fields")
        try:
            rows = declared(cls.Settings, settings_prefix(cls.key))
        except (KeyError, TypeError, NameError) as error:
            wrong(f"every field of `Settings` must be made by setting(): {error!r}")
        if unexplained := [row.variable for row in rows if not row.help.strip()]:
            wrong(f"settings without help: {', '.join(unexplained)}")

    def test_P02_account(self, provider: Provider) -> None:
        """Its account is the public name of its credentials: part of every key that holds a vendor's id."""
        if not PRINTABLE.fullmatch(provider.account):
            wrong(f"`account` is {provider.account!r}: 1 to 255 printable ASCII characters without spaces")
        if provider.account != type(provider).create(provider.settings, provider.context).account:
            wrong("`account` differs between two instances of the same settings")

    def test_P03_declared_is_implemented(self, provider: Provider) -> None:
        """What it declares and what it implements are the same."""
        if names := undeclared_capabilities(provider):
            wrong(
                f"declared and not implemented, or implemented and not declared: {', '.join(names)}. A capability goes"
                " with the class that videoconf.providers.INTERFACES names for it"
            )

    def test_P04_capability_facts(self, provider: Provider, harness: Harness) -> None:
        """Its capabilities are constant facts that make sense, and reading them makes no call."""
        before, can = harness.call_count, provider.capabilities
        if can != provider.capabilities:
            wrong("`capabilities` differs between two reads")
        if harness.call_count != before:
            wrong("reading `capabilities` made a call")
        if not can.roles or not can.roles <= set(Role):
            wrong("`roles` names at least one role, all of them of the Role enum")
        if can.max_token_ttl <= timedelta(0) or can.max_data_characters < 0 or can.retry_horizon < timedelta(0):
            wrong("`max_token_ttl`, `max_data_characters` and `retry_horizon` are amounts")
        if not all(CHANNEL.fullmatch(channel) for channel in can.webhook_channels):
            wrong(f"`webhook_channels` are parts of a URL, matching {CHANNEL.pattern}")
        if not 200 <= can.webhook_success_status <= 299:
            wrong("`webhook_success_status` is a 2xx status")
        stores = Capability.STORES_ARCHIVES in can
        if stores != bool(can.storage_kinds) or stores != (can.storage_scope is not StorageScope.NONE):
            wrong("`storage_scope` and `storage_kinds` go with the capability `stores_archives`, all or none")

    # --- sessions ---------------------------------------------------------------------------------------------------

    def test_P05_session_is_made(self, provider: Provider) -> None:
        """A meeting gets a session with a usable id, and two meetings get two."""
        refs = [provider.ensure_session(session_request(meeting)) for meeting in (MEETING, f"{MEETING}_2-x")]
        for ref in refs:
            if not (isinstance(ref, SessionRef) and isinstance(ref.session_id, str)):
                wrong(f"ensure_session() returned {ref!r}; it returns a SessionRef")
            if not PRINTABLE.fullmatch(ref.session_id):
                wrong(f"session_id is {ref.session_id!r}: 1 to 255 printable ASCII characters without spaces")
            if ref.account != provider.account:
                wrong("SessionRef.account is not the provider's account")
        if refs[0].session_id == refs[1].session_id:
            wrong("two meetings got one session: their attendance would be mixed")

    def test_P06_session_is_found_again(self, provider: Provider) -> None:
        """With ``idempotent_create``, a meeting's session is the same however often it is asked for."""
        if not provider.capabilities.idempotent_create:
            pytest.skip("the provider does not declare `idempotent_create`")
        other = type(provider).create(provider.settings, provider.context)
        refs = [one.ensure_session(session_request()) for one in (provider, provider, other)]
        if len({ref.session_id for ref in refs}) != 1:
            wrong(
                f"one meeting got several sessions: {refs}. Do not declare `idempotent_create`, or derive the room's"
                " name from meeting_id"
            )

    def test_P07_session_ends(self, provider: Provider) -> None:
        """Ending a session succeeds, ending it again too, and so does ending one that the vendor does not know."""
        session = provider.ensure_session(session_request())
        provider.end_session(session, [])
        provider.end_session(session, [UNKNOWN])
        provider.end_session(replace(session, session_id=self.unknown_session), [])

    def test_P08_options(self, provider: Provider) -> None:
        """``providerOptions`` that it does not know are refused by its schema."""
        if provider.options_schema is None:
            pytest.skip("the provider takes no `providerOptions`")
        schema = provider.options_schema()
        if schema.unknown != RAISE or not schema.validate({"kitUnknownOption": 1}):
            wrong("`options_schema` takes an option that it does not know: a misspelt one would be ignored")
        if problems := schema.validate({}):
            wrong(f"`options_schema` refuses no options at all: {problems}")

    def test_P09_session_features(self, provider: Provider) -> None:
        """A session is made with what the provider declares: archived by itself, encrypted end to end."""
        can = provider.capabilities
        if Capability.AUTOMATIC_ARCHIVING in can:
            provider.ensure_session(session_request(f"{MEETING}-archived", archiving=True))
        if Capability.END_TO_END_ENCRYPTION in can:
            provider.ensure_session(session_request(f"{MEETING}-encrypted", end_to_end_encryption=True))

    # --- tokens -----------------------------------------------------------------------------------------------------

    def test_P10_way_in(self, provider: Provider) -> None:
        """For every role that it declares, a person gets a token or a URL to join by."""
        session = provider.ensure_session(session_request())
        for role in provider.capabilities.roles:
            join = issue(provider, session, role=role, name="Ann")
            if not (join.token or join.connect.get("url")):
                wrong(f"for the role {role} there is neither a token nor connect['url']")

    def test_P11_token_expires_as_asked(self, provider: Provider) -> None:
        """A token expires when it was asked to, or sooner, and says when."""
        session = provider.ensure_session(session_request())
        for life in (timedelta(minutes=10), provider.capabilities.max_token_ttl):
            asked = provider.context.clock() + life
            said = issue(provider, session, expires_at=asked).expires_at
            if said.tzinfo is None:
                wrong("JoinToken.expires_at has no time zone")
            if not provider.context.clock() < said <= asked:
                wrong(f"a token that was to expire at {asked} expires at {said}")

    def test_P12_tokens_are_personal(self, provider: Provider) -> None:
        """Two people get two credentials."""
        session = provider.ensure_session(session_request())
        ann, bob = (issue(provider, session, attendee) for attendee in ("kit-ann", "kit-bob"))
        if (ann.token, ann.connect.get("url")) == (bob.token, bob.connect.get("url")):
            wrong("two attendees got one credential: who came could not be told")

    def test_P13_missing_role(self, provider: Provider) -> None:
        """A role that it does not declare is refused with a ProviderError, never widened to another."""
        missing = set(Role) - provider.capabilities.roles
        if not missing:
            pytest.skip("the provider declares every role")
        session = provider.ensure_session(session_request())
        for role in missing:
            try:
                issue(provider, session, role=role)
            except ProviderError:
                continue
            wrong(f"the role {role} is not declared, and yet a token was given for it")

    def test_P14_longest_data(self, provider: Provider) -> None:
        """Data of ``max_data_characters`` is carried."""
        session = provider.ensure_session(session_request())
        data = "d" * provider.capabilities.max_data_characters
        issue(provider, session, data, data=data)  # data alone names the person: the core asks for both

    def test_P15_threads(self, provider: Provider) -> None:
        """One instance serves many threads at once."""
        session = provider.ensure_session(session_request())
        people = [f"kit-{number}" for number in range(3 * THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            joins = list(pool.map(lambda one: issue(provider, session, one), people))
        alone = [issue(provider, session, one) for one in people]
        if _count(joins) < _count(alone):
            wrong("of credentials that were issued at the same time, two are the same that are not when issued alone")

    def test_P16_check(self, provider: Provider) -> None:
        """With a healthy vendor, check() succeeds."""
        provider.check()

    def test_P17_instances(self, provider: Provider, harness: Harness) -> None:
        """Closing an instance twice is fine, and does not touch another one."""
        other = type(provider).create(provider.settings, harness.context)
        other.ensure_session(session_request())
        other.close()
        other.close()
        issue(provider, provider.ensure_session(session_request()), "kit-after-close")

    def test_P18_attendee_is_carried(self, provider: Provider) -> None:
        """A credential names its attendee, whatever the name beside it; an anonymous credential names no attendee."""
        session = provider.ensure_session(session_request())
        for attendee, name in BEARERS:
            join = issue(provider, session, attendee, name=name)
            if (named := self.attendee_of(provider, session, join)) != attendee:
                wrong(f"webhooks name the attendee {named!r} for a credential of {attendee!r} with the name {name!r}")


def _count(joins: list[JoinToken]) -> int:
    return len({(join.token, join.connect.get("url")) for join in joins})
