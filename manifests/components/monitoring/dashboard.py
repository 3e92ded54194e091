"""Writes dashboard.json beside it: python manifests/components/monitoring/dashboard.py

Every panel is one question. A test holds its queries and the series of components/core/telemetry/series.py together.
"""

import json
from pathlib import Path
from typing import Any

SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT = 8, 7

Query = tuple[str, str]  # PromQL and legend


def live(name: str, *labels: str, form: str = "{}", stage: bool = False, says: str = "") -> Query:
    """A series of stages while they run, one line per chain and labels."""
    of_run = f'{name}{{pipeline=~"$pipeline",run=~"$run"}}'
    shown = [*(["stage"] if stage else []), "scheme", "fold", *labels]
    return form.format(of_run), " ".join([*(f"{{{{{label}}}}}" for label in shown), *([says] if says else [])])


def reported(name: str, form: str = "{}") -> Query:
    """A series that was pushed at a stage's end."""
    return form.format(f'max by (pipeline, stage) ({name}{{pipeline=~"$pipeline"}})'), "{{stage}}"


# title, Grafana's unit, queries
Panel = tuple[str, str, list[Query]]
SINCE, PER_HALF_HOUR = "time() - {}", "increase({}[30m])"

RUNS: list[Panel] = [
    ("Last end was a success", "bool_yes_no", [reported("thygan_stage_succeeded")]),
    ("Since the last success", "s", [reported("thygan_stage_last_success_timestamp_seconds", SINCE)]),
    ("Since the last end", "s", [reported("thygan_stage_ended_timestamp_seconds", SINCE)]),
    ("How long it took", "s", [reported("thygan_stage_duration_seconds")]),
    ("Running for", "s", [live("thygan_stage_started_timestamp_seconds", form=SINCE, stage=True)]),
    (
        "Items done",
        "none",
        [live("thygan_items_done", "unit", stage=True), live("thygan_items", "unit", says="planned")],
    ),
]
TRAINING: list[Panel] = [
    ("Progress, kimg", "none", [live("thygan_gan_kimg"), live("thygan_gan_kimg_target", says="target")]),
    ("Pace, s/kimg", "none", [live("thygan_gan_sec_per_kimg")]),
    ("Images per second", "none", [live("thygan_images_per_second", stage=True)]),
    ("Losses", "none", [live("thygan_gan_loss", "network")]),
    ("Logits of D", "none", [live("thygan_gan_score", "images")]),
    ("R1 penalty", "none", [live("thygan_gan_r1_penalty")]),
    ("Path length", "none", [live("thygan_gan_path_length")]),
    ("ADA's p", "none", [live("thygan_gan_augment_p")]),
    ("ADA's r_t", "none", [live("thygan_gan_r_t"), live("thygan_gan_r_t_target", says="target")]),
    ("Gradient norms", "none", [live("thygan_gan_gradient_norm", "phase")]),
    ("Non-finite steps in 30 min", "none", [live("thygan_gan_nonfinite_steps_total", "phase", form=PER_HALF_HOUR)]),
    ("Most memory held", "bytes", [live("thygan_memory_peak_bytes", "device")]),
    ("Recall of thumbnails", "none", [live("thygan_gan_thumbnail_recall")]),
    ("Fréchet distance of thumbnails", "none", [live("thygan_gan_thumbnail_distance")]),
    (
        "Checkpoint: age, time to write",
        "s",
        [
            live("thygan_gan_checkpoint_age_seconds", says="age"),
            live("thygan_gan_checkpoint_write_seconds", says="write"),
        ],
    ),
]
SELECTION: list[Panel] = [
    ("Snapshot under measurement, kimg", "none", [live("thygan_snapshot_kimg")]),
    ("FID, and the lowest so far", "none", [live("thygan_fid"), live("thygan_fid_lowest", says="lowest")]),
    ("KID", "none", [live("thygan_kid", "tiles")]),
]
CLASSIFIERS: list[Panel] = [
    ("Epoch", "none", [live("thygan_classifier_epoch", "arm", "seed")]),
    ("Cross-entropy", "none", [live("thygan_classifier_loss", "arm", "seed", "part")]),
    ("Validation AUROC", "none", [live("thygan_classifier_val_auroc", "arm", "seed")]),
]
USED, CAPACITY = "thygan_bucket_used_bytes", "thygan_bucket_capacity_bytes"
STORE: list[Panel] = [
    ("Buckets: used", "bytes", [(USED, "{{bucket}}")]),
    ("Buckets: share of capacity", "percentunit", [(f"{USED} / {CAPACITY}", "{{bucket}}")]),
]
ROWS = {
    "Runs": RUNS,
    "GAN training": TRAINING,
    "Selection": SELECTION,
    "Classifiers": CLASSIFIERS,
    "Object store": STORE,
}


def dashboard() -> dict[str, Any]:
    """Grafana's model of the dashboard."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, questions in ROWS.items():
        panels.append(
            {"type": "row", "title": title, "id": len(panels) + 1, "panels": [], "gridPos": _place(0, y, 24, 1)}
        )
        y += 1
        for number, question in enumerate(questions):
            at = _place(number % 3 * WIDTH, y + number // 3 * HEIGHT, WIDTH, HEIGHT)
            panels.append({"id": len(panels) + 1, "gridPos": at, **_panel(*question)})
        y += -(-len(questions) // 3) * HEIGHT
    return {
        "uid": "thygan",
        "title": "thygan",
        "tags": ["thygan"],
        "schemaVersion": 39,
        "editable": False,
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"},
                _variable("pipeline", "thygan_stage_ended_timestamp_seconds"),
                _variable("run", "thygan_stage_started_timestamp_seconds"),
            ]
        },
        "annotations": {"list": [_alerts()]},
        "panels": panels,
    }


def _panel(title: str, unit: str, queries: list[Query]) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for number, (query, legend) in enumerate(queries)
    ]
    return {
        "type": "stat" if unit == "bool_yes_no" else "timeseries",
        "title": title,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": targets,
    }


def _place(x: int, y: int, width: int, height: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": width, "h": height}


def _variable(name: str, series: str) -> dict[str, Any]:
    query = f"label_values({series}, {name})"
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _alerts() -> dict[str, Any]:
    expr = 'ALERTS{alertname=~"Thygan.+",alertstate="firing"}'
    return {"name": "Alerts", "enable": True, "datasource": SOURCE, "expr": expr, "titleFormat": "{{alertname}}"}


if __name__ == "__main__":
    Path(__file__).with_suffix(".json").write_text(
        json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
