"""Coarse to fine against the full measure: the same snapshot, and what it costs.

    python bench/selection.py DATASET SNAPSHOTS…

DATASET is the GanDataset that the trainings saw, SNAPSHOTS their snapshots folders. The patients that the tiles show
were seen, so the KID to the training tiles stands in for that to held-out ones, as the stage does it by itself. Every
selection is a run of the stage, in a process of its own, without a cache.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

IMAGES, SCREENING, FINALISTS, INPUT_PX = 2000, 200, 2, 64
RULES = {"KID": "kid_held_out", "FID": "fid_train"}


def select(dataset: str, snapshots: str, rule: str, screening: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "snapshots": snapshots, "dataset": dataset, "held-out": dataset, "rule": rule, "images": IMAGES,
            "screening-images": screening, "finalists": FINALISTS, "extractor-px": INPUT_PX,
        }  # fmt: skip
        options |= {name: f"{folder}/{name}" for name in ("generator", "page", "metrics")}
        command = [sys.executable, "-m", "components.fid_select"]
        subprocess.run([*command, *(f"--{name}={value}" for name, value in options.items())], check=True)
        return json.loads(Path(folder, "metrics").read_text())


def main() -> None:
    dataset, *trainings = sys.argv[1:]
    lines = [
        "| training | rule | chosen in full | coarse to fine | finalists | images, in full | coarse to fine |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for place, snapshots in enumerate(trainings):
        for name, rule in RULES.items():
            full, coarse = (select(dataset, snapshots, rule, screening) for screening in (0, SCREENING))
            finalists = sum(row["full"] for row in coarse["tables"]["snapshots"])
            lines.append(
                f"| {place} | {name} | {full['chosen_kimg']:g} kimg | {coarse['chosen_kimg']:g} kimg | "
                f"{finalists} of {len(coarse['tables']['snapshots'])} | {full['images_drawn']} | "
                f"{coarse['images_drawn']} |"
            )
    print("\n".join(lines))


if __name__ == "__main__":
    main()
