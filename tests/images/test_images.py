"""Built images, as a pod starts them: any user, a read-only root, no network; only what their stage needs."""

import re
from pathlib import Path

import pytest

from components.kfp_component import image

docker = pytest.importorskip("docker")
STAGES = sorted(
    path.parent.name
    for path in Path(__file__).parents[2].glob("components/*/stage.py")
    if (path.parent / "__main__.py").exists()
)
CONFINED = {
    "remove": True,
    "read_only": True,
    "network_mode": "none",
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "tmpfs": {"/tmp": "mode=1777"},  # noqa: S108 - the container's own
}


@pytest.fixture(scope="module")
def engine():
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException:
        pytest.skip('skipped: no container engine answers; eval "$(images/engine.sh up)" starts one')
    yield client
    client.close()


@pytest.fixture
def built(engine):
    def find(stage):
        try:
            return engine.images.get(image(stage))
        except docker.errors.ImageNotFound:
            pytest.skip(f"skipped: {image(stage)} is not built; python images/build.py {stage} builds it")

    return find


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_starts_as_anybody_on_a_read_only_root(stage, engine, built):
    built(stage)
    said = engine.containers.run(
        image(stage), ["python3", "-m", f"components.{stage}", "--help"], user="4242:4242", **CONFINED
    )
    assert b"-record" in said


@pytest.mark.parametrize("stage", ["tile", "pack", "gan_train"])
def test_an_image_says_what_it_is(stage, built):
    config = built(stage).attrs["Config"]
    assert re.fullmatch(r"\d+:\d+", config["User"]) and not config["User"].startswith("0")
    labels = config["Labels"]
    for name in ("title", "version", "revision", "licenses", "base.name"):
        assert labels[f"org.opencontainers.image.{name}"], name
    tag = image(stage).rpartition(":")[2]
    assert f"THYGAN_TAG={tag}" in config["Env"], "results are kept under the code's tag"
    assert labels["org.opencontainers.image.version"] == tag


def test_a_stage_without_networks_has_no_torch_and_a_gpu_stage_has_cuda(engine, built):
    for stage in ("tile", "pack"):
        built(stage)
        look = "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('pip'))"
        assert engine.containers.run(image(stage), ["python3", "-c", look], **CONFINED) == b"None None\n"
    built("gan_train")
    look = "import torch; print(torch.version.cuda, torch.ones(2, 2).matmul(torch.ones(2, 2)).sum().item())"
    said = engine.containers.run(image("gan_train"), ["python3", "-c", look], **CONFINED).decode()
    assert re.match(r"\d+\.\d+ 8\.0", said), said


def test_no_image_names_the_index_it_was_built_from(engine, built):
    history = " ".join(str(layer["CreatedBy"]) for layer in built("tile").history())
    assert "pip install" in history
    assert not re.search(r"https?://", history)
