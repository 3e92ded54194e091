"""The undisturbed study, made once, of people and places whose names are traps: a plugin, as `real_s3` is one."""

import fcntl
import json
import os
import sys
from pathlib import Path

import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from chain import ENVIRONMENT, commands
from processes import run_to_end

from pipelines.demo import write_study

OWNED = "document.documentElement.dataset.owned=1"
TRAP = f'<img src=x onerror="{OWNED}">'
CLOSING = f"'\"></script></style></title><script>{OWNED}</script>"
PATIENT = "zebra{:04d}patient"


class Study:
    """The study.

    Attributes:
        folder: Where NAME/ holds what command NAME made, and what it said.
        commands: By name.
        seconds: That each took.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.commands = commands(folder / "data", folder)
        self.seconds: dict[str, float] = {}

    def upto(self, name: str) -> None:
        """Makes everything that a command needs, and what it makes itself; several processes make it together."""
        self.folder.mkdir(exist_ok=True)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._make_upto(name)

    def _make_upto(self, name: str) -> None:
        made = self.folder / "seconds.json"
        if made.exists():
            self.seconds = json.loads(made.read_text())
        elif not (self.folder / "data").exists():
            write_study(self.folder / "data", patients=12, external_patients=6, images_per_patient=1, size_px=64)
            for number, hospital in enumerate(sorted((self.folder / "data").glob("hospital-*"))):
                _with_traps(hospital, number)
        for one, command in self.commands.items():
            if one not in self.seconds:
                out = self.folder / one
                words = command.words(out)
                self.seconds[one] = run_to_end(out, command.stage, words, **ENVIRONMENT)
                made.write_text(json.dumps(self.seconds))
            if one == name:
                return


def _with_traps(hospital: Path, number: int) -> None:
    """Markup in the names of files, sites and diagnoses; patients by names that can be searched for."""
    table = pd.read_csv(hospital / "meta.csv", dtype=str, keep_default_na=False)
    for place, row in table.iterrows():
        name = f"{TRAP}{place}.png".replace("/", "")
        (hospital / "images" / row["file"]).rename(hospital / "images" / name)
        table.loc[place, ["file", "patient"]] = [name, PATIENT.format(100 * number + place)]
    table["case"] = table["patient"]
    table["site"] = f"{hospital.name}{TRAP}"
    table["diagnosis"] += CLOSING
    table.to_csv(hospital / "meta.csv", index=False)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    top = tmp_path_factory.getbasetemp()
    return Study((top.parent if "PYTEST_XDIST_WORKER" in os.environ else top) / "phantom-study")
