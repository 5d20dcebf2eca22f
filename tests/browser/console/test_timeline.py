"""The timeline: bars for connections, moved through with keys, wheel and fingers; who counts; the files of it."""

import csv
import io

import pytest

from tests.browser.story import bearer
from tests.support.chromium import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]


@pytest.fixture
def tab(open_console, school):
    return open_console(f"#/meetings/{school.links['lesson']}")


def span(tab):
    return tab.page.evaluate(
        "(() => { const { from, to } = document.querySelector('vc-timeline').scale; return to - from; })()"
    )


def test_each_connection_is_a_bar(tab):
    rows = tab.page.locator(".chart .row")
    assert rows.count() == 12, "eleven people and a recording"
    assert rows.nth(3).locator("g.bar").count() == 3, "Tomás came three times"
    assert tab.page.locator(".bar.inferred").count() == 1
    assert tab.page.locator(".chart .end").count() == 1
    assert tab.page.locator(".row.recording .bar").count() == 1


def test_card_shows_exact_times_and_their_reason(tab):
    tab.page.locator(".bar.inferred").hover()
    card = tab.page.locator(".card-beside")
    card.get_by_text("roster").wait_for()
    shown = card.inner_text()
    assert "Tomás Herrera" in shown
    assert "inferred" in shown
    assert "the provider no longer lists the connection" in shown
    assert shown.count("UTC") == 2


def test_streams_are_marked_within_their_bars(tab):
    rows = tab.page.locator(".chart .row")
    paths = rows.nth(0).locator(".stream").evaluate_all("all => all.map(one => one.getAttribute('d'))")
    assert len(paths) == 2, "Ada sent her camera and a screen"
    assert "v" in paths[1], "the screen was gone before she left"
    assert rows.nth(0).locator(".published").count() == 2
    [grace] = rows.nth(1).locator(".stream").evaluate_all("all => all.map(one => one.getAttribute('d'))")
    dot = float(rows.nth(1).locator(".published").get_attribute("cx"))
    stroke = float(grace.split("M")[2].split()[0])
    assert stroke < dot, "her camera was gone and came back"
    assert tab.page.locator(".row.recording .stream").count() == 0


def test_card_lists_streams_with_their_times(tab):
    tab.page.locator("g.bar").first.focus()
    assert tab.page.locator("g.bar").first.get_attribute("aria-label").split(", ")[2] == "2 streams"
    sent = tab.page.locator(".card-beside .sent")
    assert [text.split()[0] for text in sent.all_inner_texts()] == ["camera", "screen"]
    assert "gone" in sent.nth(1).inner_text()


def test_keys_move_between_bars_and_explain_one(tab):
    tab.page.locator("g.bar").first.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowRight"):
        tab.page.keyboard.press(key)
    label = tab.page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label.startswith("Tomás Herrera, ")
    assert label.endswith("inferred")
    assert tab.page.locator(".chart [tabindex='0']").count() == 1, "one stop of the Tab key"
    tab.page.keyboard.press("Enter")
    dialog = tab.page.locator("dialog")
    dialog.get_by_text("What decided").first.wait_for()
    assert "law 1 does not apply" in dialog.inner_text()
    tab.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")


def test_keys_and_wheel_zoom_and_show_everything_again(tab):
    whole = span(tab)
    tab.page.locator("g.bar").first.focus()
    tab.page.keyboard.press("+")
    tab.page.keyboard.press("+")
    closer = span(tab)
    assert closer < whole * 0.6
    box = tab.page.locator(".chart").bounding_box()
    tab.page.mouse.move(box["x"] + 300, box["y"] + 40)
    tab.page.keyboard.down("Control")
    tab.page.mouse.wheel(0, -200)
    tab.page.keyboard.up("Control")
    tab.page.wait_for_function(
        "before => { const { from, to } = document.querySelector('vc-timeline').scale; return to - from < before }",
        arg=closer,
    )
    tab.page.locator("g.bar").first.focus()
    tab.page.keyboard.press("0")
    assert span(tab) == whole


def test_drag_moves_the_visible_range(tab):
    tab.page.get_by_role("button", name="Zoom in").click(click_count=3)
    from_before = tab.page.evaluate("document.querySelector('vc-timeline').scale.from")
    box = tab.page.locator(".chart").bounding_box()
    tab.page.mouse.move(box["x"] + 400, box["y"] + 20)
    tab.page.mouse.down()
    tab.page.mouse.move(box["x"] + 250, box["y"] + 20, steps=5)
    tab.page.mouse.up()
    assert tab.page.evaluate("document.querySelector('vc-timeline').scale.from") > from_before
    assert tab.page.locator("dialog").count() == 0, "a drag that ends on a bar does not choose it"


def test_rule_colours_people_who_count_and_updates_the_sum(tab):
    assert tab.page.locator(".sum").inner_text() == "Everyone who was there counts"
    slider = tab.page.get_by_role("slider", name="Present from")
    slider.focus()
    with tab.page.expect_response(lambda answer: "minimumShare=0.8" in answer.url):
        for _ in range(16):
            tab.page.keyboard.press("ArrowRight")
    tab.page.wait_for_function("document.querySelector('.sum').innerText.startsWith('8 / 11')")
    assert tab.texts("tr.absent .title") == ["Mei Tanaka", "Noah Fischer", "Jonas Berg"]
    assert tab.page.locator(".chart .row.absent").count() == 3


def test_table_has_the_same_connections(tab):
    tab.page.locator(".as-table summary").click()
    tab.page.locator(".as-table tbody tr").first.wait_for()
    assert tab.page.locator(".as-table tbody tr").count() == 13
    row = tab.page.locator(".as-table tbody tr", has_text="inferred")
    assert "Tomás Herrera" in row.inner_text()
    ada = tab.page.locator(".as-table tbody tr", has_text="Ada Lindqvist")
    assert ada.locator(".sent").count() == 2


def test_csv_has_the_same_connections(tab):
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download the connections as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert len(rows) == 13
    [inferred] = [row for row in rows if row["leaveInferred"] == "true"]
    assert (inferred["attendee"], inferred["reason"]) == ("p-tomas", "reconciled")
    assert rows[0]["streams"].startswith("camera: published 20")
    assert "; screen: published 20" in rows[0]["streams"]


def test_svg_stands_alone(tab):
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Download the timeline as SVG").click()
    text = download.value.path().read_text()
    assert "var(" not in text, "colours are written out"
    shape = tab.page.evaluate(
        "text => { const one = new DOMParser().parseFromString(text, 'image/svg+xml');"
        " return [one.documentElement.nodeName, one.querySelectorAll('title').length,"
        " one.querySelectorAll('parsererror').length, one.querySelectorAll('circle').length] }",
        text,
    )
    assert shape == ["svg", 1 + 14, 0, 14]


def test_report_follows_the_rule(tab):
    slider = tab.page.get_by_role("slider", name="Present from")
    slider.focus()
    for _ in range(16):
        tab.page.keyboard.press("ArrowRight")
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Report as CSV").click()
    rows = list(csv.DictReader(io.StringIO(download.value.path().read_text(encoding="utf-8-sig"))))
    assert sum(row["present"] == "true" for row in rows) == 8


def test_reader_of_meetings_alone_sees_no_timeline(open_console, school):
    tab = open_console(f"#/meetings/{school.links['lesson']}", token=bearer(["GetMeetings"]))
    assert tab.page.locator("vc-timeline").count() == 0
    assert "lesson-7b-0412" in tab.page.locator("main").inner_text()
