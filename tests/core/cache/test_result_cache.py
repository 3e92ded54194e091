"""Kept results on a real S3: found whole or not at all, brought back bit by bit; content ignores how it was made."""

from dataclasses import replace

import numpy as np
import pytest

from components.core.cache.result_cache import CachedResult, ResultCache, describe_artifact, fetch_artifact
from components.core.data.archive import ArchiveWriter
from components.core.data.content_hash import content_hash
from components.core.errors import DataError
from components.core.io.atomic_files import write_json
from components.core.store import open_store

pytest_plugins = ["tests.core.real_s3"]


@pytest.fixture(params=["bucket", "folder"])
def store(request, tmp_path):
    return request.getfixturevalue("bucket") if request.param == "bucket" else str(tmp_path / "store")


@pytest.fixture
def made(tmp_path):
    """A folder and a file, as a task makes them."""
    folder, file = tmp_path / "made" / "generator", tmp_path / "made" / "metrics"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.bin").write_bytes(b"weights")
    (folder / "deep" / "b.json").write_text("{}")
    file.write_text('{"fid": 3.5}')
    return {"generator": folder, "metrics": file}


def result(store, made, key="k1", run="p/1"):
    types = {"generator": "system.Generator", "metrics": "system.Metrics"}
    task = f"{run}/fid-select/0"
    artifacts = {
        name: describe_artifact(path, types[name], f"{store}/{task}/{name}", {}) for name, path in made.items()
    }
    return CachedResult("fid_select", run, task, key, "src-1", "2026-01-01T00:00:00Z", {}, {}, artifacts, [1, "x"])


def tree(path):
    return {one.relative_to(path).as_posix(): one.read_bytes() for one in sorted(path.rglob("*")) if one.is_file()}


def test_what_was_kept_comes_back_on_an_empty_disk(store, made, tmp_path):
    ResultCache(store).keep(result(store, made), made, upload=True)
    found = ResultCache(store).find("fid_select", "k1")
    assert found.returned == [1, "x"]
    ResultCache(store).fetch(found, {name: tmp_path / "back" / name for name in made})
    assert tree(tmp_path / "back" / "generator") == tree(made["generator"])
    assert (tmp_path / "back" / "metrics").read_bytes() == made["metrics"].read_bytes()
    assert ResultCache(store).find("fid_select", "k2") is None
    assert ResultCache(store).find("generate", "k1") is None


def test_what_is_half_gone_is_not_found(store, made):
    ResultCache(store).keep(result(store, made), made, upload=True)
    open_store(store).delete("p/1/fid-select/0/generator/deep/b.json")
    assert ResultCache(store).find("fid_select", "k1") is None


def test_what_is_torn_is_refused_and_leaves_nothing(store, made, tmp_path):
    kept = ResultCache(store).keep(result(store, made), made, upload=True)
    (tmp_path / "other").write_bytes(b"others")
    open_store(store).put(tmp_path / "other", "p/1/fid-select/0/generator/a.bin")
    with pytest.raises(DataError, match="is damaged"):
        fetch_artifact(kept.artifacts["generator"], tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_objects_of_this_disk_are_not_fetched_again(store, made, tmp_path):
    objects = tmp_path / "objects"
    kept = ResultCache(store, objects).keep(result(store, made), made, upload=True)
    for name in ("p/1/fid-select/0/generator/a.bin", "results/fid_select/k1.json"):
        open_store(store).delete(name)
    found = ResultCache(store, objects).find("fid_select", "k1")
    fetch_artifact(found.artifacts["generator"], tmp_path / "back", objects)
    assert tree(tmp_path / "back") == tree(made["generator"])
    ResultCache(store, objects).keep(replace(kept, run="p/2", task="p/2/fid-select/0"), made, upload=True)
    assert ResultCache(store).find("fid_select", "k1"), "what the store has lost is brought there again"


def test_a_second_run_refers_to_what_is_there(store, made):
    ResultCache(store).keep(result(store, made), made, upload=True)
    second = ResultCache(store).keep(result(store, made, run="p/2"), made, upload=True)
    assert second.artifacts["generator"].uri == f"{store}/p/1/fid-select/0/generator"
    assert [one.run for one in ResultCache(store).results()] == ["p/1", "p/2"]
    assert [one.key for one in ResultCache(store).list_by_code("src-1")] == ["k1"]
    assert list(ResultCache(store).list_by_code("src-2")) == []


def test_a_name_that_climbs_out_is_refused(store, made, tmp_path):
    from components.core.errors import StoreError

    kept = ResultCache(store).keep(result(store, made), made, upload=True)
    artifact = kept.artifacts["generator"]
    evil = replace(artifact, files=[replace(artifact.files[0], name="../../evil")])
    with pytest.raises(StoreError, match="cannot be the name"):
        fetch_artifact(evil, tmp_path / "back")


def test_a_record_that_is_none_is_named(store):
    open_store(store).write("results/fid_select/k1.json", b"[]")
    with pytest.raises(DataError, match=r"results/fid_select/k1.json is not a record"):
        ResultCache(store).find("fid_select", "k1")


def archive(path, seconds, shade=0):
    with ArchiveWriter(path) as writer:
        for index in range(3):
            row = {"patient": str(index), "label": 1, "diagnosis": "PTC", "site": "a", "source": "x", "x": 0, "y": 0}
            writer.add(np.full((8, 8, 3), shade if index == 2 else 50, np.uint8), row)
        writer.attach("records.json", [{"stage": "tile", "seconds": seconds}])
    return content_hash(path)


def test_content_is_what_it_is_and_not_how_it_was_made(tmp_path):
    first = archive(tmp_path / "a.zip", 1.0)
    assert archive(tmp_path / "b.zip", 2.5) == first
    assert archive(tmp_path / "c.zip", 1.0, shade=1) != first
    for name, seconds in (("f", 1), ("g", 2)):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "records.json", [{"seconds": seconds}])
        write_json(tmp_path / name / "lineage.json", {"patients": []})
    assert content_hash(tmp_path / "f") == content_hash(tmp_path / "g")
    write_json(tmp_path / "g" / "lineage.json", {"patients": ["7"]})
    assert content_hash(tmp_path / "f") != content_hash(tmp_path / "g")
