"""`thygan weights` as a user calls it."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from components.core.features.registry import REGISTRY
from components.core.features.weights import BUCKET_VARIABLE, FOLDER_VARIABLE, MIRROR_VARIABLE
from components.core.runtime.cli import execute
from pipelines.cli.app import app

LITE0 = REGISTRY["efficientnet_lite0"]


@pytest.fixture(autouse=True)
def nothing_around(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in (FOLDER_VARIABLE, BUCKET_VARIABLE, MIRROR_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def thygan(*arguments: object) -> None:
    execute(app, ["weights", *map(str, arguments)])


def error_of(capsys: pytest.CaptureFixture, *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        thygan(*arguments)
    assert ended.value.code == 1
    return capsys.readouterr().err


def test_list_names_size_licence_hash_and_place(capsys: pytest.CaptureFixture) -> None:
    thygan("list", "--json")
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == set(REGISTRY)
    assert rows["efficientnet_lite0"]["path"].endswith(LITE0.file)
    assert rows["resnet50"]["path"] == rows["resnet50"]["problem"] == ""
    assert all(row["licence"] and row["sha256"] and row["size_bytes"] for row in rows.values())
    thygan("list")
    assert "resnet50: 103 MB · BSD-3-Clause (torchvision)" in capsys.readouterr().out


def test_what_is_fetched_to_a_folder_is_found_there(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    thygan("fetch", "efficientnet_lite0", "--out", tmp_path / "weights")
    thygan("verify", "efficientnet_lite0", "--weights-dir", tmp_path / "weights", "--json")
    out = capsys.readouterr().out
    assert json.loads(out[out.index("[") :])[0]["path"] == str(tmp_path / "weights" / LITE0.file)


def test_a_changed_file_and_an_absent_one_are_failures(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / LITE0.file).write_bytes(b"other")
    assert "is not efficientnet-lite0" in error_of(capsys, "verify", "--weights-dir", tmp_path)
    assert "resnet50 is not on this machine: run" in error_of(capsys, "verify", "resnet50")
    assert "registered for 'vgg'" in error_of(capsys, "verify", "vgg")


def test_what_is_found_nowhere_is_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    monkeypatch.setitem(REGISTRY, "resnet50", replace(REGISTRY["resnet50"], url="http://127.0.0.1:9/net.pth"))
    assert "could not be found" in error_of(capsys, "fetch", "resnet50")
