"""Which characters of a text are kept: one rule for what callers send and for what providers tell of it later.

Whatever is taken from a caller therefore comes back unchanged, and no two persons become one on the way.
"""

from __future__ import annotations

import re

NOT_KEPT = re.compile("[\x00-\x08\x0b-\x1f\ud800-\udfff]")
"""Control characters other than TAB and LF, and lone surrogates. PostgreSQL cannot store all of them."""
KEPT_PATTERN = r"^[^\u0000-\u0008\u000b-\u001f]*$"
"""A text without them, for the OpenAPI document, whose texts cannot hold lone surrogates anyway."""


def cleaned_text(text: str, longest: int) -> str:
    """Return a text that others chose, as it can be kept: each character that is not becomes U+FFFD."""
    return NOT_KEPT.sub("\ufffd", text[:longest])
