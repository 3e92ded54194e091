"""A whole study on phantom data, stage by stage as commands: made once, then each stage is disturbed on its own."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from clocks import digest

KEY = "a study key for tests only"
ENVIRONMENT = {"THYGAN_STUDY_KEY": KEY, "THYGAN_STUDY_KEY_FILE": ""}
_NETWORK = {"extractor": "efficientnet_lite0", "extractor_px": 32, "device": "cpu"}
_GAN = {
    "batch": 4, "channel_base": 64, "channel_max": 8, "mapping_layers": 2, "latent_dim": 8, "kimg": 0.12,
    "snapshot_kimg": 0.04, "augment": "noaug", "learning_rate": 0.002, "device": "cpu", "threads": 1,
}  # fmt: skip
_CLASSIFIER = {
    "input_px": 32, "epochs": 2, "patience": 2, "batch": 16, "device": "cpu", "arms": ["none", "bi100"],
}  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A stage with its inputs.

    Attributes:
        stage: Its name.
        inputs: Options that name what other stages made, or settings.
        outputs: Option -> file or folder that it writes.
    """

    stage: str
    inputs: dict[str, Any]
    outputs: dict[str, str]

    def words(self, out: Path, **more: Any) -> list[str]:
        """The command's words, outputs in a folder."""
        given = {**self.inputs, **{key: out / name for key, name in self.outputs.items()}, **more}
        words: list[str] = []
        for key, value in given.items():
            option = f"--{key.replace('_', '-')}"
            if isinstance(value, bool):
                words += [option if value else f"--no-{option[2:]}"]
            else:
                words += [option, *(map(str, value) if isinstance(value, list) else [str(value)])]
        return words


def commands(data: Path, made: Path) -> dict[str, Command]:
    """Every stage's command; what it reads lies in `made`/NAME."""

    def of(name: str, file: str) -> Path:
        return made / name / file

    def cut(source: str, **options: Any) -> Command:
        settings = {"sources": [data / source], "mpp": ["*=0.5"], "tile_px": 32, "licences": ["*=CC0-1.0"], **options}
        names = ("tiles.zip", "manifest.csv", "page.html", "card.html", "card.json", "record.json")
        keys = ("tiles", "manifest", "tile_page", "data_card", "card_values", "tile_record")
        return Command("tile", settings, dict(zip(keys, names, strict=True)))

    def evidence(fold: str, tail: str) -> dict[str, Command]:
        train, held = of(f"pack{tail}", "dataset.zip"), of(f"pack{tail}", "held-out.zip")
        shared = {"dataset": train, "held_out": held}

        def outputs(kind: str) -> dict[str, str]:
            return {f"{kind}_page": "page.html", f"{kind}_record": "record.json"}

        plan = {"plan": of("split", "plan.json"), "fold": fold}
        return {
            f"pack{tail}": Command(
                "pack",
                {"tiles": of("tile", "tiles.zip"), **plan},
                {"dataset": "dataset.zip", "held_out": "held-out.zip", "pack_record": "record.json"},
            ),
            f"gan_train{tail}": Command(
                "gan_train", {"dataset": train, **_GAN}, {"snapshots": "snapshots", **outputs("gan")}
            ),
            f"fid_select{tail}": Command(
                "fid_select",
                {"snapshots": of(f"gan_train{tail}", "snapshots"), **shared, **_NETWORK, "images": 60, "batch": 30},
                {"generator": "generator", **outputs("selection")},
            ),
            f"generate{tail}": Command(
                "generate",
                {"generator": of(f"fid_select{tail}", "generator"), **shared, **plan, **_NETWORK},
                {"synthetic": "synthetic.zip", **outputs("generation")},
            ),
            f"classifier_cv{tail}": Command(
                "classifier_cv",
                {
                    "tiles": of("tile", "tiles.zip"), **plan, "study": of("split", "study.json"),
                    "synthetic": of(f"generate{tail}", "synthetic.zip"), **_CLASSIFIER,
                },
                {"predictions": "predictions.csv", "classifiers": "classifiers", **outputs("classifier")},
            ),
        }  # fmt: skip

    external = {"tiles": of("tile external", "tiles.zip"), "labels": of("tile external", "manifest.csv")}
    elsewhere = {"external_tiles": external["tiles"], "external_labels": external["labels"]}
    study, synthetic = of("split", "study.json"), [of("generate", "synthetic.zip")]
    folds = {"--folds": 2}
    return {
        "tile": cut("hospital-a"),
        "tile external": cut("hospital-b", blind=True),
        "split": Command(
            "split",
            {"manifest": of("tile", "manifest.csv"), "folds": folds["--folds"], "arms": ["none", "bi100"],
             "classifier_seeds": 1, "demonstration": True},
            {"plan": "plan.json", "study": "study.json", "split_record": "record.json"},
        ),
        **evidence("all", ""),
        **evidence("0", " 0"),
        "external_eval": Command(
            "external_eval",
            {"classifiers": [of("classifier_cv", "classifiers")], "study": study, **external, "device": "cpu"},
            {"external_predictions": "predictions.csv", "roc": "roc.json", "evaluation_record": "record.json"},
        ),
        "umap": Command(
            "umap",
            {"tiles": of("tile", "tiles.zip"), **elsewhere, "synthetic": synthetic, **_NETWORK, "max_tiles": 120},
            {"umap_page": "page.html", "gap": "gap", "umap_record": "record.json"},
        ),
        "report": Command(
            "report",
            {
                "manifest": of("tile", "manifest.csv"), "tiles": of("tile", "tiles.zip"),
                "plan": of("split", "plan.json"), "study": study, **elsewhere, "synthetic": synthetic,
                "predictions": [of("classifier_cv 0", "predictions.csv")],
                "external_predictions": of("external_eval", "predictions.csv"), "gap": of("umap", "gap"),
                "tile_record": of("tile", "record.json"),
                "external_tile_record": of("tile external", "record.json"),
                "split_record": of("split", "record.json"),
                "final_records": [of("classifier_cv", "record.json")],
                "fold_records": [of("classifier_cv 0", "record.json")],
                "evaluation_record": of("external_eval", "record.json"),
                "umap_record": of("umap", "record.json"),
                "data_card": of("tile", "card.html"), "external_data_card": of("tile external", "card.html"),
                "generators": [of("fid_select", "generator")],
            },
            {"report": "page.html", "verdict": "report.md", "report_record": "record.json"},
        ),
    }  # fmt: skip


def content(out: Path, command: Command) -> dict[str, str]:
    """A digest of every file that a command wrote, by its path; what tells of the clock is left out."""
    found = {}
    for name in command.outputs.values():
        top = out / name
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in files:
            if path.exists():
                found[path.relative_to(out).as_posix()] = digest(path)
    return found


def absent(out: Path, command: Command) -> set[str]:
    """The outputs that are not there."""
    return {name for name in command.outputs.values() if not (out / name).exists()}
