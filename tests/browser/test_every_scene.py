"""What holds in every state of the join page: it can be used by everyone, and it keeps to its own policy."""

import os
from pathlib import Path

import pytest

from tests.browser.scenes import SCENES
from tests.support.chromium import needs_chromium

AXE = Path(__file__).parents[2] / "build/axe/node_modules/axe-core/axe.min.js"
SIZES = ((320, 640), (390, 844), (1280, 800))
CHECK = """async () => {
    const { violations } = await axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa", "best-practice"] });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(" ")}`);
}"""
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
SMALL = """() => [...document.querySelectorAll("button, input, select, summary, a")]
    .filter((one) => one.checkVisibility())
    .map((one) => [one.textContent || one.ariaLabel || one.name, one.getBoundingClientRect()])
    .filter(([, { width, height }]) => width && (width < 44 || height < 44))
    .map(([label, { width, height }]) => `${label}: ${width} x ${height}`)"""

pytestmark = [pytest.mark.browser, needs_chromium]


def frames_of(visitor):
    """Return the page and, in a meeting, the room."""
    return [frame for frame in visitor.page.frames if not frame.is_detached()]


@pytest.fixture(scope="module")
def axe():
    """Give the checker's script; None where it is not installed and need not be."""
    return AXE.read_text() if AXE.exists() or os.environ.get("TEST_AXE") else None


@pytest.mark.parametrize("name", SCENES)
def test_scene_breaks_no_rule(made, axe, name):
    visitor = SCENES[name](made)
    for scheme in ("light", "dark"):
        visitor.page.emulate_media(color_scheme=scheme)
        for width, height in SIZES:
            visitor.page.set_viewport_size({"width": width, "height": height})
            for frame in frames_of(visitor):
                assert frame.evaluate(WIDER) <= 0, f"{frame.url} is wider than {width} pixels"
                assert frame.evaluate(SMALL) == [], "a target for fingers has 44 pixels"
        for frame in frames_of(visitor) if axe else ():
            frame.evaluate(axe)
            assert frame.evaluate(CHECK) == []
    assert visitor.problems == []
    visitor.page.close()
