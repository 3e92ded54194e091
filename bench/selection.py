"""The selection with a first round on few images against the full one: the same snapshot, and its cost.

    python bench/selection.py DATASET SNAPSHOTS…

DATASET is the GanDataset of the trainings, SNAPSHOTS are their snapshots folders. DATASET also stands for the held-out
tiles; its patients were seen in training, so the stage compares with the training tiles instead. Every selection is a
run of the stage in its own process; those of one training share a cache of features.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES, SCREENING, FINALISTS, INPUT_PX = 600, 200, 3, 64
RULES = {"KID": "kid_held_out", "FID": "fid_train"}


def select(dataset: str, snapshots: str, rule: str, screening: int, cache: str) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "snapshots": snapshots, "dataset": dataset, "held-out": dataset, "rule": rule, "images": IMAGES,
            "screening-images": screening, "finalists": FINALISTS, "extractor-px": INPUT_PX, "cache-uri": cache,
        }  # fmt: skip
        options |= {name: f"{folder}/{name}" for name in ("generator", "selection-page", "selection-record")}
        command = [sys.executable, "-m", "components.fid_select"]
        subprocess.run([*command, *(f"--{name}={value}" for name, value in options.items())], check=True)
        return json.loads(Path(folder, "selection-record").read_text())


def _line(dataset: str, snapshots: str, place: int, name: str, cache: str) -> str:
    full, coarse = (select(dataset, snapshots, RULES[name], screening, cache) for screening in (0, SCREENING))
    rows = coarse["tables"]["snapshots"]
    return (
        f"| {place} | {name} | {full['chosen_kimg']:g} kimg | {coarse['chosen_kimg']:g} kimg | "
        f"{sum(row['full'] for row in rows)} of {len(rows)} | {full['images_drawn']} | {coarse['images_drawn']} |"
    )


def main() -> None:
    dataset, *trainings = sys.argv[1:]
    lines = [
        "| training | rule | chosen without a first round | with one | finalists | images without | with |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for place, snapshots in enumerate(trainings):
        with tempfile.TemporaryDirectory() as cache:
            lines += [_line(dataset, snapshots, place, name, cache) for name in RULES]
    print("\n".join(lines))


if __name__ == "__main__":
    main()
