"""Alerts and dashboard ask for series that the code writes, and for all of them; alerts fire when they should."""

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from components.core.telemetry.series import SERIES
from components.core.telemetry.table import table

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "manifests/components/monitoring"
RULES = yaml.safe_load((MONITORING / "rules.yaml").read_text())["spec"]
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
NAMES = {one.name for one in SERIES}
LABELS = 'pipeline="thygan-study",run="r1",stage="gan_train",scheme="binary",fold="0"'
DAY = 86400


def named(text):
    return set(re.findall(r"\bthygan_[a-z0-9_]+", text))


def test_the_dashboard_is_made_of_its_code_and_shows_every_series():
    spec = importlib.util.spec_from_file_location("dashboard", MONITORING / "dashboard.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shown = json.loads((MONITORING / "dashboard.json").read_text())
    assert shown == module.dashboard(), "python manifests/components/monitoring/dashboard.py"
    asked = {name for panel in shown["panels"] for one in panel.get("targets", []) for name in named(one["expr"])}
    assert asked == NAMES
    places = [panel["gridPos"] for panel in shown["panels"]]
    cells = [(at["x"] + dx, at["y"] + dy) for at in places for dx in range(at["w"]) for dy in range(at["h"])]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24, "panels overlap"


def test_alerts_ask_for_series_that_there_are():
    for name, rule in ALERTS.items():
        assert named(rule["expr"]) and named(rule["expr"]) <= NAMES, name


def test_every_alert_leads_to_what_to_do():
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/operations.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", one).strip().lower().replace(" ", "-") for one in headings}
    for name, rule in ALERTS.items():
        page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
        assert page.endswith("/docs/operations.md") and anchor in anchors, name


def test_the_table_of_series_is_fresh():
    said = "python -m components.core.telemetry.table docs/metrics.md"
    assert (ROOT / "docs/metrics.md").read_text() == table(), said


def test_names_have_units_as_prometheus_has_them():
    for one in SERIES:
        assert re.fullmatch(r"thygan_[a-z0-9_]+", one.name)
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        for unit, ending in (("s", "_seconds"), ("unix s", "_timestamp_seconds"), ("bytes", "_bytes")):
            assert one.unit != unit or one.name.endswith(ending), one.name


def served(name, values, labels=""):
    return {f"{name}{{{LABELS}{labels}}}": values}


def pushed(name, values, stage):
    return {f'{name}{{pipeline="thygan-study",stage="{stage}"}}': values}


def bucket(name, values):
    return {f'{name}{{bucket="a"}}': values}


KIMG, TARGET = "thygan_gan_kimg", "thygan_gan_kimg_target"
ENDED, LAST_SUCCESS = "thygan_stage_ended_timestamp_seconds", "thygan_stage_last_success_timestamp_seconds"
USED, CAPACITY = "thygan_bucket_used_bytes", "thygan_bucket_capacity_bytes"
VANISHED = served(KIMG, "0+1x60 stale")
NONFINITE = "thygan_gan_nonfinite_steps_total"
STEP_S = {"ThyganNoSuccess": 1800}  # between two evaluations; the others' is a minute
# alert: series in promtool's notation, a value each step; when it must be silent (s), when it must have fired
CASES = {
    "ThyganNoSuccess": [
        (pushed(LAST_SUCCESS, "0x800", "run"), 13 * DAY, 14 * DAY + 7200),
        (pushed(ENDED, "0x10", "run"), 1800, 7200),
    ],
    "ThyganStageFailed": [(pushed("thygan_stage_succeeded", "1x60 0x60", "pack"), 3600, 4500)],
    "ThyganTrainingStalled": [(served(KIMG, "0+1x60 60x60") | served(TARGET, "25000x200"), 3600, 6000)],
    "ThyganTrainingAbsent": [
        (VANISHED | pushed(ENDED, "0x500", "gan_train"), 3600, 6600),
        (VANISHED, 3600, 6600),
    ],
    "ThyganThumbnailsWorse": [(served("thygan_gan_thumbnail_distance", "9-0.1x60 8x120"), 3600, 8400)],
    "ThyganFidRising": [(served("thygan_fid", "20x60 40x60") | served("thygan_fid_lowest", "20x120"), 3600, 4800)],
    "ThyganAugmentPinned": [(served("thygan_gan_augment_p", "0.6x60 1x300"), 3600, 11400)],
    "ThyganCheckpointOld": [(served("thygan_gan_checkpoint_age_seconds", "0+60x120"), 3500, 4200)],
    "ThyganGradientsNotFinite": [(served(NONFINITE, "0x60 0+1x60", ',phase="g_main"'), 3600, 5400)],
    "ThyganBucketNearlyFull": [(bucket(USED, "80x60 90x60") | bucket(CAPACITY, "100x120"), 3600, 6000)],
}
SILENT = {  # what looks alike and must wake nobody
    "ThyganNoSuccess": (pushed(LAST_SUCCESS, "0x800", "run") | pushed(ENDED, "0x800", "run"), 7 * DAY),
    "ThyganTrainingStalled": (served(KIMG, "100x200") | served(TARGET, "100x200"), 9000),
    "ThyganTrainingAbsent": (VANISHED | pushed(ENDED, "_x60 3620x500", "gan_train"), 6600),
    "ThyganGradientsNotFinite": (served(NONFINITE, "0x60 3x60", ',phase="g_main"'), 5400),
}


def test_every_alert_is_tried():
    assert set(CASES) == set(ALERTS) and set(SILENT) <= set(ALERTS)


def test_alerts_fire_when_they_should_and_only_then(tmp_path):
    """promtool, Prometheus' own, runs every alert over the series of its cases."""
    if not shutil.which("promtool"):
        pytest.skip("skipped: promtool is not here; apt-get install prometheus brings it")
    for alert, rule in ALERTS.items():
        cases = [(values, [(silent, 0), (fired, 1)]) for values, silent, fired in CASES[alert]]
        if alert in SILENT:
            values, when = SILENT[alert]
            cases.append((values, [(when, 0)]))
        (tmp_path / f"{alert}.rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": alert, "rules": [rule]}]}))
        step = f"{STEP_S.get(alert, 60)}s"
        tests = [_try(alert, step, values, expected) for values, expected in cases]
        suite = {"rule_files": [f"{alert}.rules.yaml"], "evaluation_interval": step, "tests": tests}
        (tmp_path / f"{alert}.yaml").write_text(yaml.safe_dump(suite))
    files = [f"{alert}.yaml" for alert in ALERTS]
    done = subprocess.run(["promtool", "test", "rules", *files], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _try(alert, step, values, expected):
    """ALERTS is compared as a series, so that no test repeats what an alert says."""
    checks = [
        {
            "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
            "eval_time": f"{when}s",
            "exp_samples": [{"labels": "{}", "value": count}] if count else [],
        }
        for when, count in expected
    ]
    series = [{"series": name, "values": value} for name, value in values.items()]
    return {"interval": step, "input_series": series, "promql_expr_test": checks}
