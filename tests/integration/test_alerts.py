"""The alert rules name metrics and labels that exist, fire when they should, and each has its page."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import ON_SQLITE, now_text, service_of
from videoconf.breaker import BreakerState
from videoconf.cli.process import collect_metrics
from videoconf.observability.metrics import observe_breaker, observe_call
from videoconf.providers.http import CallOutcome

ROOT = Path(__file__).parents[2]
FILE = ROOT / "deploy/alerts.yaml"
RULES = [rule for group in yaml.safe_load(FILE.read_text())["groups"] for rule in group["rules"]]
PROMTOOL = os.environ.get("PROMTOOL") or shutil.which("promtool")
with_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is not installed (Debian's package prometheus has it; PROMTOOL=… names one)"
)

SELECTOR = re.compile(r"(videoconf_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|=|!=)"([^"]*)"')
GROUPED = re.compile(r"by \(([\w, ]+)\)")


@pytest.fixture
def scraped(app, client, headers):
    """What a service says that has met with all that the rules are about."""
    service = service_of(app, headers)
    service.api.create()
    connection = {"id": "fc_1", "created_at": now_text(), "attendee": "ann", "name": "Ann"}
    assert service.post(service.made_up("connection.created", connection=connection)).status == 204
    assert client.post("/webhooks/session", data=b"{}").status_code == 401
    observe_call(CallOutcome("fake", "thing.get", "GET", "provider.example", 200, "ok", 1, 0.1))
    observe_breaker("fake", BreakerState.CLOSED)
    return list(text_string_to_metric_families(collect_metrics(app).decode()))


@ON_SQLITE
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_rule_names_existing_metrics_and_labels(rule, scraped):
    samples = [sample for family in scraped for sample in family.samples]
    labels_of = {sample.name: set(sample.labels) for sample in samples}
    named = set()
    for metric, matchers in SELECTOR.findall(rule["expr"]):
        assert metric in labels_of, f"the service lacks the metric {metric}"
        named |= labels_of[metric]
        wanted = MATCHER.findall(matchers)
        assert {label for label, _, _ in wanted} <= labels_of[metric], matchers
        exact = {label: value for label, how, value in wanted if how == "=" and label != "status"}
        if exact:
            assert any(one.name == metric and exact.items() <= one.labels.items() for one in samples), matchers
    grouped = {label for group in GROUPED.findall(rule["expr"]) for label in group.split(", ")}
    assert grouped <= named
    # What a scrape adds, and what is left after grouping.
    told = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert told <= (grouped or {"instance"})


def test_alerts_and_their_pages_match():
    text = (ROOT / "docs/how-to/operate.md").read_text()
    assert set(re.findall(r"`(Videoconf\w+)`", text)) == {rule["alert"] for rule in RULES}


def promtool(*args, **how):
    return subprocess.run([PROMTOOL, *args], check=False, capture_output=True, text=True, **how)


@with_promtool
def test_promtool_accepts_the_rules():
    found = promtool("check", "rules", FILE)
    assert found.returncode == 0, found.stdout + found.stderr


@with_promtool
@ON_SQLITE
def test_promtool_accepts_the_metrics(scraped, app):
    found = promtool("check", "metrics", input=collect_metrics(app).decode())
    # Of its matters of taste one is let pass: a gauge of jobs is in no unit.
    assert found.returncode in (0, 3), found.stderr
    assert [line for line in found.stderr.splitlines() if "videoconf" in line] == []


FIRES = {
    "VideoconfErrors": [('videoconf_request_seconds_count{status="500"}', "_x10 1x10")],
    "VideoconfDown": [('up{job="videoconf"}', "0x20")],
    "VideoconfUnavailable": [('videoconf_request_seconds_count{status="503"}', "0+120x20")],
    "VideoconfProviderCutOff": [('videoconf_provider_breaker_open{provider="p"}', "1x20")],
    "VideoconfProviderSlow": [
        ('videoconf_provider_call_seconds_bucket{provider="p", le="2.5"}', "0+1x20"),
        ('videoconf_provider_call_seconds_bucket{provider="p", le="5.0"}', "0+9x20"),
        ('videoconf_provider_call_seconds_bucket{provider="p", le="+Inf"}', "0+9x20"),
    ],
    "VideoconfJobsWait": [("videoconf_job_lag_seconds", "301x20")],
    "VideoconfJobsDead": [('videoconf_jobs{state="dead"}', "1x20")],
    "VideoconfWebhooksRejected": [('videoconf_webhook_events_total{provider="p", outcome="rejected"}', "0+60x20")],
    "VideoconfWebhooksUnknown": [('videoconf_webhook_events_total{provider="p", outcome="orphan"}', "0+60x20")],
    "VideoconfDatabaseConnections": [("videoconf_database_connections", "15x20")],
    "VideoconfEventsWait": [("videoconf_event_projection_lag_seconds", "31x20")],
    "VideoconfDeliveriesWait": [("videoconf_event_delivery_lag_seconds", "61x20")],
    "VideoconfSubscriptionsFail": [('videoconf_event_subscriptions{state="failing"}', "1x20")],
}
QUIET = [
    ('videoconf_request_seconds_count{status="200"}', "0+6000x20"),
    ('videoconf_request_seconds_count{status="503"}', "0+1x20"),
    ('videoconf_request_seconds_count{status="500"}', "3x20"),
    ('up{job="videoconf"}', "1x20"),
    ('videoconf_provider_breaker_open{provider="p"}', "0 1 0x20"),
    ("videoconf_job_lag_seconds", "0 400 0x20"),
    ('videoconf_jobs{state="dead"}', "0x20"),
    ('videoconf_webhook_events_total{provider="p", outcome="rejected"}', "0+1x20"),
    ('videoconf_webhook_events_total{provider="p", outcome="orphan"}', "0+1x20"),
    ("videoconf_database_connections", "14x20"),
    ("videoconf_event_projection_lag_seconds", "0 40 0x20"),
    ("videoconf_event_delivery_lag_seconds", "0 70 0x20"),
    ('videoconf_event_subscriptions{state="failing"}', "0 1 0x20"),
    ('videoconf_event_subscriptions{state="working"}', "20x20"),
]


def rule_test(series, alert, expected):
    labels = {"severity": next(rule["labels"]["severity"] for rule in RULES if rule["alert"] == alert)}
    given = dict(re.findall(r'(\w+)="([^"]*)"', series[0][0]))
    rule = next(rule for rule in RULES if rule["alert"] == alert)
    kept = {"job"} if alert == "VideoconfDown" else {"provider"} & set(given) if "provider" in rule["expr"] else set()
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "alert_rule_test": [
            {
                "eval_time": f"{max(13, int(rule.get('for', '0m').removesuffix('m')) + 3)}m",
                "alertname": alert,
                "exp_alerts": [{"exp_labels": labels | {name: given[name] for name in kept}}] if expected else [],
            }
        ],
    }


@with_promtool
def test_each_alert_fires_only_on_its_condition(tmp_path):
    assert set(FIRES) == {rule["alert"] for rule in RULES}
    rules = yaml.safe_load(FILE.read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            del rule["annotations"]  # its numbers are no matter here
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    tests = [rule_test(series, alert, expected=True) for alert, series in FIRES.items()]
    tests += [rule_test(QUIET, alert, expected=False) for alert in FIRES]
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    found = promtool("test", "rules", file)
    assert found.returncode == 0, found.stdout + found.stderr
