"""The token: how the console gets it, keeps it in its tab, and loses it; and what the page weighs before all that."""

import json
import time

import jwt
import pytest

from tests.browser.story import JWT_SECRET, bearer, served
from tests.support.chromium import needs_chromium

pytestmark = [pytest.mark.browser, needs_chromium]
BUDGET_BYTES = 100_000


def kept(tab):
    return tab.page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]")


def test_console_asks_for_a_token_and_keeps_it_in_the_tab(open_console):
    tab = open_console("#/archives", token="")
    tab.page.get_by_label("Bearer token").fill("no token at all")
    tab.page.get_by_role("button", name="Open").click()
    assert "three parts" in tab.page.get_by_role("alert").inner_text()
    tab.page.get_by_label("Bearer token").fill(f"  {bearer()}\n")
    tab.page.get_by_role("button", name="Open").click()
    tab.settle()
    assert tab.texts("h1") == ["Archives"]
    assert kept(tab) == [1, 0, ""]
    tab.page.locator(".who summary").click()
    tab.page.get_by_role("button", name="Forget the token").click()
    tab.page.wait_for_selector("#token")
    assert kept(tab) == [0, 0, ""]


@pytest.mark.parametrize("secret", ["another-secret-that-signs-nothing-here", JWT_SECRET])
def test_refused_token_leads_back_with_the_reason(open_console, secret):
    now = int(time.time())
    claims = {"sub": "eve", "iat": now - 7200, "exp": now - 3600, "iss": "videoconf", "aud": "videoconf"}
    token = jwt.encode({**claims, "permissions": ["GetMeetings"]}, secret, "HS256")
    tab = open_console("#/meetings", token=token)
    tab.page.wait_for_selector("#token")
    assert "The service refused the token." in tab.page.get_by_role("alert").inner_text()
    assert kept(tab)[0] == 0
    tab.faults.clear()  # it is refused with 401


def test_development_link_opens_the_console_and_leaves_no_trace(open_console, school):
    token = school.server.token
    link = next(
        line.split()[-1] for line in (school.server.folder / "log").read_text().splitlines() if "/console#" in line
    )
    assert link == f"{school.url}/console#token={token}"
    tab = open_console(f"#token={token}", token="")
    assert tab.texts("h1") == ["Meetings"]
    assert token not in tab.page.url
    tab.page.go_back()
    assert token not in tab.page.url
    assert tab.page.evaluate("performance.getEntries().filter(one => one.name.includes('token=')).length") <= 1
    assert not [asked for asked in tab.asked if token in asked]


def test_token_in_a_link_is_refused_outside_development(open_console, tmp_path_factory):
    folder = tmp_path_factory.mktemp("strict")
    with served(folder, VIDEOCONF_DEVELOPMENT="false", VIDEOCONF_FAKE_WEBHOOK_URL="https://example.com") as server:
        tab = open_console(f"#token={bearer()}", token="", url=server.url)
        assert tab.page.locator("#token").is_visible()
        assert "token=" not in tab.page.url
        assert kept(tab)[0] == 0


def test_first_view_weighs_less_than_its_budget(open_console, school):
    tab = open_console("#/archives")
    sizes = tab.page.evaluate(
        "performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))"
        ".filter(one => one.name.includes('/pages/') || one.name.includes('/console'))"
        ".map(one => [one.name, one.transferSize])"
    )
    assert sum(size for _, size in sizes) < BUDGET_BYTES, sizes
    tab = open_console(f"#/meetings/{school.links['lesson']}")
    sizes = tab.page.evaluate("performance.getEntriesByType('resource').map(one => one.transferSize)")
    assert sum(sizes) < BUDGET_BYTES, "the largest view, with what it reads"


def test_page_asks_no_other_host_and_has_a_strict_policy(open_console, school):
    tab = open_console("#/meetings")
    assert {asked.split()[1].split("/")[2] for asked in tab.asked} == {school.url.split("/")[2]}
    policy = tab.page.request.get(f"{school.url}/console").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_policy_stops_an_inline_script(open_console):
    tab = open_console("#/meetings")
    tab.page.evaluate(
        "() => { const one = document.createElement('script'); one.textContent = 'window.ran = 1';"
        " document.body.append(one); }"
    )
    assert tab.page.evaluate("window.ran") is None
    assert any("policy: script-src" in fault for fault in tab.faults), "the watch for violations sees one"
    tab.faults.clear()


@pytest.mark.parametrize("claims", [{"tenant": None}, {"tenant": "harbour-clinic"}])
def test_bar_names_the_owner_of_the_token(open_console, claims):
    tab = open_console("#/meetings", token=bearer(["GetMeetings"], subject="ada.lindqvist", **claims))
    tab.page.locator(".who summary").click()
    shown = tab.page.locator(".who").inner_text()
    assert (claims["tenant"] or "default") in shown
    assert "ada.lindqvist" in shown
    assert "valid for 7 h" in shown
    assert "1 permission" in shown


def test_console_reports_a_service_that_is_down_and_retries(open_console):
    tab = open_console("#/meetings")
    tab.page.route("**/archives?*", lambda route: route.abort())
    tab.go("#/archives")
    assert "does not answer" in tab.page.locator("main").inner_text()
    tab.page.unroute("**/archives?*")
    tab.page.get_by_role("button", name="Try again").click()
    tab.settle()
    assert "Fractions, part 1" in tab.page.locator("main").inner_text()
    tab.faults.clear()


def test_lost_connection_keeps_the_rows_on_screen(open_console):
    tab = open_console("#/meetings", token=bearer(["GetMeetings"]))
    tab.page.route("**/session?*", lambda route: route.abort())
    tab.page.evaluate("document.querySelector('vc-list').refresh()")
    tab.page.wait_for_selector(".stale")
    assert "Physics 9a: pendulums" in tab.page.locator("main").inner_text()
    tab.page.unroute("**/session?*")
    tab.page.evaluate("dispatchEvent(new Event('online'))")
    tab.page.wait_for_selector(".stale", state="detached")
    tab.faults.clear()


def test_console_reads_the_claims_that_the_settings_name(open_console, tmp_path_factory):
    folder = tmp_path_factory.mktemp("claims")
    with served(folder, VIDEOCONF_JWT_PERMISSIONS_CLAIM="realm.roles", VIDEOCONF_JWT_TENANT_CLAIM="org") as server:
        token = bearer([], realm={"roles": ["GetProviders", "Unknown"]}, org="north")
        tab = open_console("#/providers", token=token, url=server.url)
        assert "Fake (in memory)" in tab.page.locator("main").inner_text()
        assert tab.texts(".who .tenant") == ["north"]


def test_settings_hold_no_secret(school, open_console):
    tab = open_console("#/meetings")
    found = json.loads(tab.page.request.get(f"{school.url}/console/settings.json").text())
    assert found.keys() == {
        "version",
        "development",
        "authentication",
        "subjectClaims",
        "permissionsClaims",
        "permissionsPrefix",
        "hasPermissionGroups",
        "tenantClaim",
        "defaultTenant",
        "permissions",
        "providers",
    }
