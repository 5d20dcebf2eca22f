"""What tests of pages need: Chromium, where it is installed."""

import pytest

from tools.visitors import CHROMIUM

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian package chromium)")
