"""Names as hostile participants type them: each changes its own cell, and nothing else."""

import json

import pytest

from tests.browser.console.test_acting import Api
from tests.support.chromium import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]

NAMES = {
    "markup": "<img src=x onerror=window.hacked=1><script>window.hacked=1</script>",
    "entities": "&lt;b&gt;bold&lt;/b&gt; \"quoted\" 'single' `tick`",
    "right to left": "עברית \u202e gnp.exe \u2067 العربية",
    "long": "long" * 60,
    "wide": "\ufdfd" * 60,
    "emoji": "👩‍👩‍👧‍👦" * 20,
    "zero width": "\u200b\u200d\u2060",
    "marks": "Z" + "\u0300\u0301\u0302\u0303" * 40,
    "formula": '=HYPERLINK("http://evil.example","x")',
    "lines": "first\n\tsecond",
}
LAYOUT = """all => all.map(one => {
  const box = one.getBoundingClientRect();
  return [Math.round(box.x), Math.round(box.width), Math.round(box.height)];
})"""


@pytest.fixture(scope="module")
def links(school):
    """Two meetings alike, one with hostile names."""
    api = Api(school)
    made = {}
    for kind in ("hostile", "harmless"):
        made[kind] = link = api(
            "POST",
            "/session",
            {"extId": kind, "extMetadata": {"title": NAMES["markup"] if kind == "hostile" else "A title"}},
        )
        for place, name in enumerate(NAMES.values()):
            body = {"attendee": f"p{place}", "name": name if kind == "hostile" else f"Person {place}"}
            token = api("POST", f"/session/{link}/token", body)["token"]
            school.server.act("join", token=token)
    return made


@pytest.mark.parametrize("width", [390, 1280])
def test_names_change_no_other_cell(open_console, links, width):
    shapes = {}
    for kind, link in links.items():
        tab = open_console(f"#/meetings/{link}", viewport={"width": width, "height": 900})
        shapes[kind] = {
            selector: tab.page.locator(selector).evaluate_all(LAYOUT)
            for selector in (
                ".people-table tr",
                ".people-table th, .people-table td",
                ".label",
                ".bar .fill",
                ".scroller",
            )
        }
        assert tab.page.evaluate("window.hacked") is None
        assert tab.page.locator("main img, main script").count() == 0
        assert tab.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    for selector, shape in shapes["harmless"].items():
        hostile = shapes["hostile"][selector]
        assert [one[2] for one in hostile] == [one[2] for one in shape], selector
        if selector in (".label", ".scroller", ".people-table tr"):
            assert hostile == shape, selector


def test_name_without_visible_characters_is_labelled(open_console, links):
    tab = open_console(f"#/meetings/{links['hostile']}")
    assert "(name without visible characters)" in tab.page.locator(".people-table").inner_text()


def test_hover_shows_the_whole_name(open_console, links):
    tab = open_console(f"#/meetings/{links['hostile']}")
    titles = tab.page.locator(".people-table bdi[title]").evaluate_all("all => all.map(one => one.title)")
    assert NAMES["long"] in titles
    assert NAMES["markup"] in titles


def test_direction_of_a_name_ends_with_its_cell(open_console, links):
    tab = open_console(f"#/meetings/{links['hostile']}")
    shown = tab.page.locator(".people-table bdi").all_text_contents()
    assert not [text for text in shown if "\u202e" in text or "\u2067" in text]


def test_files_hold_hostile_names_as_data(open_console, links):
    tab = open_console(f"#/meetings/{links['hostile']}")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download the timeline as SVG").click()
    svg = download.value.path().read_text()
    parsed = tab.page.evaluate(
        "text => { const one = new DOMParser().parseFromString(text, 'image/svg+xml');"
        " return [one.querySelectorAll('parsererror, script, img, foreignObject').length,"
        " one.querySelectorAll('rect').length] }",
        svg,
    )
    assert parsed[0] == 0
    assert parsed[1] >= len(NAMES)
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download the connections as CSV").click()
    assert "'=HYPERLINK" in download.value.path().read_text()


def test_hostile_ids_lead_to_their_own_pages(open_console, school):
    api = Api(school)
    link = api("POST", "/session", {"extId": 'a/b?c#d&e="f"%2F'})
    hostile = "../../jobs?x=#y<b>%00é"
    token = api("POST", f"/session/{link}/token", {"attendee": hostile, "name": "Eve"})["token"]
    school.server.act("join", token=token)
    tab = open_console(f"#/meetings/{link}")
    tab.page.locator(".people-table a.title").click()
    tab.settle()
    assert tab.texts("h1") == [hostile]
    tab.page.locator("tbody a.title").click()
    tab.settle()
    assert json.loads(tab.page.evaluate("JSON.stringify(location.hash)")) == f"#/meetings/{link}"
