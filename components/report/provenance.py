"""How it was made: weights, seeds, versions, digests; and how long each stage took."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from components.core.protocol.split_plan import ALL
from components.core.protocol.study_plan import generator_arm, is_control
from components.report.inputs import Inputs, Row, network_name
from components.report.labels import meaning
from components.report.training import trained

STAGES = (
    "tile",
    "split",
    "pack",
    "gan_train",
    "fid_select",
    "generate",
    "classifier_cv",
    "external_eval",
    "umap",
)
_PACKAGES = ("thygan", "numpy", "pandas", "scipy", "scikit-learn", "statsmodels", "plotly")


def made_section(inputs: Inputs) -> dict[str, Any]:
    """Tables for the template."""
    return {
        "weights": _weights(inputs),
        "generators": [_generator(item) for item in trained(inputs.items)],
        "classifiers": [
            {"scheme": item["scheme"], "fold": item["fold"], **row}
            for item in inputs.items
            for row in item["classifier_cv"]["tables"].get("arms", [])
        ],
        "arms": [{"arm": arm, "meaning": meaning(arm), "added": _added(inputs, arm)} for arm in inputs.study.arms],
        "plan_digest": inputs.plan.digest,
        "study_digest": inputs.study.digest,
        "key_id": inputs.plan.key_id,
        "versions": _versions(),
    }


def times_section(inputs: Inputs) -> list[Row]:
    """Seconds per stage, all its tasks together and the longest of them."""
    seconds: dict[str, list[float]] = {stage: [] for stage in STAGES}
    for name, record in inputs.records.items():
        seconds[name.split()[0]].append(record["seconds"])
    for item in inputs.items:
        for stage in STAGES:
            if stage in item and stage not in inputs.records and str(item[stage]["fold"]) == item["fold"]:
                seconds[stage].append(item[stage]["seconds"])
    most = max((sum(some) for some in seconds.values()), default=0) or 1
    return [
        {
            "stage": stage,
            "tasks": len(some),
            "total": sum(some),
            "longest": max(some),
            "share": 100 * sum(some) / most,
        }
        for stage, some in seconds.items()
        if some
    ]


def untrained(inputs: Inputs) -> list[str]:
    """Networks of this study that started from random weights where trained ones are usual."""
    return sorted({row["name"] for row in _weights(inputs) if not row["trained"]})


def _weights(inputs: Inputs) -> list[Row]:
    """Each trained network that was brought in, once."""
    used = [("FID and KID", item["fid_select"], "extractor") for item in inputs.items if "fid_select" in item]
    used += [("classifier backbone", item["classifier_cv"], "backbone") for item in inputs.items]
    if "umap" in inputs.records:
        used.append(("UMAP and domain gap", inputs.records["umap"], "extractor"))
    rows = {}
    for use, record, kind in used:
        if kind in record:
            sha256 = record["weights_sha256"] if kind == "backbone" else record["extractor_sha256"]
            name = network_name(record)
            rows[use, name, sha256] = {
                "use": use,
                "name": name,
                "sha256": sha256,
                "trained": record[f"{kind}_trained"],
            }
    return list(rows.values())


def _generator(item: Row) -> Row:
    training = item["gan_train"]
    keys = ("kimg", "resolution", "batch", "gamma", "learning_rate", "parameters_g", "seed", "device", "sec_per_kimg")
    return {"scheme": item["scheme"], "fold": item["fold"], **{key: training.get(key) for key in keys}}


def _added(inputs: Inputs, arm: str) -> str:
    """Tiles that the final classifiers of an arm were given on top, by class."""
    rows = [
        row
        for item in inputs.items
        if item["fold"] == ALL
        for row in item.get("generate", {}).get("tables", {}).get("arms", [])
        if row["arm"] == generator_arm(arm)
    ]
    text = ", ".join(f"{row['name']} +{row['added']}" for row in rows)
    return f"{text}, re-drawn" if rows and is_control(arm) else text


def _versions() -> list[Row]:
    found = [{"name": "Python", "version": platform.python_version()}]
    for package in _PACKAGES:
        try:
            found.append({"name": package, "version": version(package)})
        except PackageNotFoundError:
            continue
    return found
