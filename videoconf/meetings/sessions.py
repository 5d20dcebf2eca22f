"""Asking a provider for a meeting's session."""

from __future__ import annotations

import re

from videoconf.errors import ProviderBadResponse
from videoconf.hooks import contained
from videoconf.providers import Provider, SessionRef, SessionRequest, provider_deadline

SESSION_ID = re.compile(r"[\x21-\x7e]{1,255}")


def ensure_session(provider: Provider, request: SessionRequest) -> SessionRef:
    """Return the provider's session for a meeting; to be called outside any transaction.

    :raises ProviderError: there is none. With ``outcome_unknown`` an unused one may be left there.
    """
    with provider_deadline():
        ref = contained(provider.ensure_session, SessionRef)(request)
    if not all(isinstance(text, str) and SESSION_ID.fullmatch(text) for text in (ref.account, ref.session_id)):
        raise ProviderBadResponse("The provider gave a session without a usable id.")
    return ref
