import numpy as np
import pytest

from components.core.data.archive import ArchiveWriter
from components.core.data.file_names import RECORDS
from components.core.protocol.lineage import identity, key_id
from components.core.protocol.split_plan import SplitPlan
from components.pack.stage import run

KEY = b"a study key for tests"
NAMES = {"FA": 0, "FTC": 0, "PTC": 1, "NIFTP": 1}
PATIENTS = {str(i): name for i, name in enumerate(["FA", "PTC", "FTC", "NIFTP"] * 3)}
TILES_EACH = 2


def identity_of(patient, key=KEY):
    return identity(key, "Home", patient)


def make_tiles(path, patients=PATIENTS, side=8, key=KEY, blind=False, each=TILES_EACH, also=(), level=1):
    """A TileSet of random tiles, some of a person, and one of nobody; `also` are further (patient, image) pairs."""
    rng = np.random.default_rng(0)
    with ArchiveWriter(path, compress_level=level) as archive:
        pixels = [
            (patient, rng.integers(0, 256, (side, side, 3), np.uint8)) for patient in patients for _ in range(each)
        ]
        for x, (patient, image) in enumerate([*pixels, *also]):
            row = {"patient": patient, "case": patient, "site": "Home", "identity": identity_of(patient, key)}
            row |= {} if blind else {"label": NAMES[patients[patient]], "diagnosis": patients[patient]}
            archive.add(image, {**row, "source": f"{patient}.png", "x": x})
        archive.add(
            np.zeros((side, side, 3), np.uint8), {"site": "Turin", "label": None if blind else 1, "diagnosis": "B"}
        )
        archive.attach(RECORDS, [{"stage": "tile"}])
    return path


def make_plan(path, train, val, test, key=KEY):
    parts = {"train": train, "val": val, "test": test}
    fold = {part: sorted(identity_of(str(one), key) for one in ones) for part, ones in parts.items()}
    SplitPlan(key_id(key), {"0": fold}, "by hand").write(path)
    return path


@pytest.fixture
def who():
    return identity_of


@pytest.fixture
def names():
    """Diagnosis -> binary class."""
    return NAMES


@pytest.fixture
def write_tiles():
    return make_tiles


@pytest.fixture
def write_plan():
    return make_plan


@pytest.fixture
def tiles(tmp_path):
    return make_tiles(tmp_path / "tiles.zip")


@pytest.fixture
def plan(tmp_path):
    return make_plan(tmp_path / "plan.json", range(6), range(6, 8), range(8, 12))


@pytest.fixture
def pack(tmp_path):
    def start(tiles, plan, **options):
        paths = {name: tmp_path / name for name in ("dataset", "held_out", "pack_record")}
        run(tiles=str(tiles), plan=str(plan), **{**{n: str(p) for n, p in paths.items()}, "fold": "0", **options})
        return paths

    return start
