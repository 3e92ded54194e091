"""No patient's number in what a study says, shows or hands on; they stand in manifests and predictions alone."""

import base64
import re
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "chaos"))
from study import PATIENT

pytest_plugins = ["study"]

PATIENTS = re.compile(PATIENT.replace("{:04d}", r"\d{4}").encode())
MAY = {"manifest.csv", "predictions.csv"}


def texts_of(path):
    """Every text in a file by a name for it: entries of zips, and data that lie encoded in a page."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {f"{path.name}/{name}": archive.read(name) for name in archive.namelist()}
    data = path.read_bytes()
    encoded = re.findall(rb"data:application/json;base64,([A-Za-z0-9+/=]+)", data)
    return {path.name: data, **{f"{path.name} ({place})": base64.b64decode(one) for place, one in enumerate(encoded)}}


def test_patients_stand_in_manifests_and_predictions_alone(study):
    study.upto("report")
    named, searched = set(), 0
    for name in study.commands:
        for path in (study.folder / name).rglob("*"):
            if path.is_file():
                for where, data in texts_of(path).items():
                    searched += 1
                    if PATIENTS.search(data):
                        named.add(where.rpartition("/")[2])
    assert searched > 100
    assert named <= MAY
    assert named == MAY, "they are found where they may be, or the search finds nothing"


def test_they_travel_as_identities(study):
    study.upto("gan_train")
    lineage = (study.folder / "gan_train/snapshots/lineage.json").read_text()
    assert len(set(re.findall(r"[0-9a-f]{8}-[0-9a-f]{24}", lineage))) > 5
