"""axe-core finds nothing in any view, in the light and in the dark; everything is reached with the Tab key."""

import os
from pathlib import Path

import pytest

from tests.browser.console.test_views import VIEWS
from tests.support.chromium import needs_chromium

AXE = Path(__file__).parents[3] / "build/axe/node_modules/axe-core/axe.min.js"
pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.skipif(
        not AXE.exists() and not os.environ.get("TEST_AXE"), reason="axe-core is not installed (make axe)"
    ),
]
RULES = "{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }"


def judged(tab):
    """What axe-core finds: the rule, and where."""
    # Not as a script of the page: its policy, which stays in force, allows none from elsewhere.
    if not tab.page.evaluate("() => 'axe' in window"):
        tab.page.evaluate(AXE.read_text())
    found = tab.page.evaluate(f"axe.run(document, {RULES})")
    return [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in found["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_fault_in_any_view(open_console, school, scheme, width):
    tab = open_console("#/meetings", color_scheme=scheme, viewport={"width": width, "height": 900})
    links = [f"#/meetings/{school.links[name]}" for name in ("lesson", "physics", "planned")]
    for fragment in [*VIEWS, *links, "#/nothing"]:
        tab.go(fragment)
        assert judged(tab) == [], fragment


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_opened_panels(open_console, school, scheme):
    tab = open_console(f"#/meetings/{school.links['lesson']}", color_scheme=scheme)
    tab.page.get_by_role("button", name="Why does Tomás").click()
    tab.page.get_by_text("What decided").first.wait_for()
    assert judged(tab) == []
    tab.page.keyboard.press("Escape")
    tab.page.locator(".as-table summary").click()
    tab.page.locator("g.bar").first.focus()
    assert judged(tab) == []
    tab.go("#/meetings?status=ended")
    for summary in ("vc-filters summary >> nth=0", ".who summary"):
        tab.page.locator(summary).click()
        assert judged(tab) == [], summary
    tab.go("#/persons/p-tomas")
    tab.page.get_by_role("button", name="Erase this person").click()
    assert judged(tab) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault_in_the_token_form(open_console, scheme):
    tab = open_console("", token="", color_scheme=scheme)
    tab.page.get_by_role("button", name="Open").click()
    assert judged(tab) == []


def test_focus_is_visible_and_reaches_every_control(open_console, school):
    tab = open_console(f"#/meetings/{school.links['physics']}")
    tab.page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(80):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("document.activeElement === document.body"):
            continue  # the window's own controls are between the last and the first
        where = tab.page.evaluate(
            "(() => { const one = document.activeElement; const style = getComputedStyle(one);"
            " const row = one.closest('tr, g');"
            " return [one.ariaLabel || one.getAttribute('aria-label') || one.textContent.trim(),"
            " style.outlineStyle !== 'none' || Boolean(row)]; })()"
        )
        seen.append(where)
    words = [word for word, _ in seen]
    for expected in ("Skip to the content", "Meetings", "Invite", "End", "Zoom in", "Present from", "Put on hold"):
        assert any(expected in word for word in words), expected
    assert [word for word, is_visible in seen if not is_visible] == []


def test_touch_targets_are_large_enough(open_console, school):
    tab = open_console(
        f"#/meetings/{school.links['physics']}", viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    small = tab.page.locator("main .button:visible, nav a:visible, nav summary:visible").evaluate_all(
        "all => all.map(one => [one.textContent.trim() || one.ariaLabel, one.getBoundingClientRect().height])"
        ".filter(([, height]) => height < 44)"
    )
    assert small == []
