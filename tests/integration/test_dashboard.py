"""The Grafana dashboard shows metrics and labels that exist, and every metric that the service has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import ON_SQLITE, Service, now_text
from videoconf.breaker import BreakerState
from videoconf.cli.process import collect_metrics
from videoconf.observability.metrics import EVENT_DELIVERIES, EVENTS_PROJECTED, observe_breaker, observe_call
from videoconf.providers.http import CallOutcome

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
OF_SCRAPE = {"job", "instance"}
"""Labels that Prometheus adds to each sample."""
SELECTOR = re.compile(r"(videoconf_\w+)\{([^}]*)\}")
LABEL = re.compile(r"(\w+)(?:=~|!=|=)")
GROUPED = re.compile(r"by \(([\w, ]+)\)")


@pytest.fixture
def labels(service: Service) -> dict[str, set[str]]:
    """The labels of each sample of a service that has met with everything that the panels show."""
    link = service.api.create()
    service.api("PATCH", f"/session/{link}/end")
    connection = {"id": "fc_1", "created_at": now_text(), "attendee": "a", "name": "A"}
    service.post(service.made_up("connection.created", connection=connection))
    observe_call(CallOutcome("fake", "thing.get", "GET", "provider.example", 200, "ok", 1, 0.1))
    observe_breaker("fake", BreakerState.CLOSED)
    EVENTS_PROJECTED.labels("meeting.created").inc()
    EVENT_DELIVERIES.labels("succeeded").inc()
    families = text_string_to_metric_families(collect_metrics(service.app).decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


@ON_SQLITE
def test_panels_name_metrics_and_labels_that_exist(labels: dict[str, set[str]]) -> None:
    for panel in PANELS:
        [target] = panel["targets"]
        selected = SELECTOR.findall(target["expr"])
        assert len(selected) == target["expr"].count("videoconf_"), "each metric is selected by its job"
        known = set(OF_SCRAPE)
        for metric, matchers in selected:
            assert metric in labels, panel["title"]
            known |= labels[metric]
            assert set(LABEL.findall(matchers)) <= known, panel["title"]
            assert 'job=~"$job"' in matchers
        grouped = {label for group in GROUPED.findall(target["expr"]) for label in group.split(", ")}
        assert grouped <= known, panel["title"]
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= grouped, panel["title"]


@ON_SQLITE
def test_every_metric_has_a_panel(labels: dict[str, set[str]]) -> None:
    shown = {metric for panel in PANELS for metric, _ in SELECTOR.findall(panel["targets"][0]["expr"])}
    ours = {name for name in labels if name.startswith("videoconf_") and not name.endswith(("_sum", "_created"))}
    assert ours == shown


def test_grafana_can_import_the_dashboard() -> None:
    assert DASHBOARD["uid"] == "videoconf"
    assert {one["name"] for one in DASHBOARD["templating"]["list"]} == {"datasource", "job"}
    assert len({panel["id"] for panel in PANELS}) == len({panel["title"] for panel in PANELS}) == len(PANELS)
    taken = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in PANELS}
    assert len(taken) == len(PANELS)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"$datasource"}
