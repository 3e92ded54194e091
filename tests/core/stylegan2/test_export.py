"""Exported generators: the golden images come out of a program that has nothing of thygan's."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from components.core.errors import ConfigError, DataError
from components.core.stylegan2 import Generator, export
from components.core.stylegan2.centres import class_centres
from components.core.stylegan2.export import Exported, export_onnx, export_torchscript
from components.core.stylegan2.sampling import latents

TORCHSCRIPT = """
import sys, numpy as np, torch
for path, job in zip(sys.argv[1::2], sys.argv[2::2]):
    network = torch.jit.load(path)
    with np.load(job + ".npz") as file:
        inputs = [torch.from_numpy(file[name]) for name in ("z", "c") if name in file]
    np.save(job + ".npy", network(*inputs).numpy())
assert not any(name.partition(".")[0] in ("components", "pipelines") for name in sys.modules)
"""
ONNX = """
import sys, numpy as np, onnx, onnxruntime
for path, job in zip(sys.argv[1::2], sys.argv[2::2]):
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
    with np.load(job + ".npz") as file:
        images, = session.run(["images"], {one.name: file[one.name] for one in session.get_inputs()})
    np.save(job + ".npy", images)
assert "torch" not in sys.modules
"""
HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxscript", "onnxruntime"))
EXPORTERS = {"torchscript": export_torchscript, "onnx": export_onnx}
PROGRAMS = {"torchscript": TORCHSCRIPT, "onnx": ONNX}
FORMATS = [
    "torchscript",
    pytest.param("onnx", marks=pytest.mark.skipif(not HAS_ONNX, reason="thygan[onnx] is not installed")),
]


def tiny(c_dim, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        G = Generator(8, c_dim, 8, 16, channel_base=128, channel_max=16, mapping_layers=2, **options).eval()
        for name, value in G.named_parameters():
            if name.endswith("noise_strength"):
                torch.nn.init.constant_(value, 0.3)
        G.mapping.w_avg.normal_()
    return G


def ours(G, z, c, **options):
    with torch.no_grad():
        return G(torch.from_numpy(z), torch.from_numpy(c), noise_mode="const", **options).numpy()


def cases(golden):
    """By name: what is exported, then inputs and the images that are to come out, for several numbers of images."""
    data = golden("generator")
    G = Generator(64, 2, 64, 32, channel_base=1024, channel_max=64, num_fp16_res=4, conv_clamp=256)
    G.load_state_dict({k.removeprefix("sd/"): torch.tensor(v) for k, v in data.items() if k.startswith("sd/")})
    z, c = data["z"].astype(np.float32), data["labels"].astype(np.float32)
    yield "golden", Exported(G, 0.7), [({"z": z, "c": c}, data["img_const_psi0.7"])]

    z, c = latents(range(5), 8).astype(np.float32), np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
    G = tiny(0)
    yield "unconditional", Exported(G), [({"z": z[:n]}, ours(G, z[:n], c[:n, :0])) for n in (1, 5)]
    for name, options in (("resnet", {}), ("orig", {"use_noise": False})):
        G = tiny(3, architecture=name, **options)
        yield name, Exported(G), [({"z": z[:n], "c": c[:n]}, ours(G, z[:n], c[:n])) for n in (1, 5)]

    G, c = tiny(2), np.array([[1, 0], [0, 1], [0.5, 0.5], [0, 1], [1, 0]], np.float32)
    centres = class_centres(G, per_class=20)
    wanted = ours(G, z, c, truncation_psi=0.4, truncation_centre=torch.from_numpy(c) @ centres)
    assert np.abs(wanted - ours(G, z, c, truncation_psi=0.4)).max() > 1e-2
    yield "class centres", Exported(G, 0.4, centres), [({"z": z, "c": c}, wanted)]


@pytest.mark.parametrize("format", FORMATS)
def test_the_same_images_come_out_elsewhere(golden, tmp_path, format):
    jobs = []
    for name, network, draws in cases(golden):
        path = tmp_path / name
        assert EXPORTERS[format](path, network) < 1e-4
        for number, (inputs, wanted) in enumerate(draws):
            np.savez(tmp_path / f"{name}-{number}.npz", **inputs)
            jobs.append((path, tmp_path / f"{name}-{number}", wanted))
    arguments = [argument for path, files, _ in jobs for argument in (path, files)]
    subprocess.run([sys.executable, "-c", PROGRAMS[format], *arguments], check=True, cwd=tmp_path)
    for _, files, wanted in jobs:
        np.testing.assert_allclose(np.load(f"{files}.npy"), wanted, atol=1e-4, err_msg=files.name)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_does_not_tell_where_it_was_made(tmp_path, format):
    path = tmp_path / "generator"
    EXPORTERS[format](path, Exported(tiny(2)))
    content = path.read_bytes()
    assert str(tmp_path).encode() not in content
    assert str(Path(export.__file__).parent).encode() not in content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_draws_otherwise_is_not_kept(tmp_path, format, monkeypatch):
    """An exporter that loses noise: the layer's buffer is changed between its writing and its judging."""
    network = Exported(tiny(2))
    inputs = network.inputs

    def changed(n):
        if n == 3:  # the first batch that is only judged
            network.G.synthesis.b16.conv1.noise_const.add_(0.5)
        return inputs(n)

    monkeypatch.setattr(network, "inputs", changed)
    with pytest.raises(DataError, match="would draw other images than thygan"):
        EXPORTERS[format](tmp_path / "generator", network)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_meant():
    G = tiny(2)
    for psi in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="psi is"):
            Exported(G, psi)
    with pytest.raises(ConfigError, match="centres are"):
        Exported(G, 0.5, torch.zeros(3, 8))


@pytest.mark.skipif(HAS_ONNX, reason="thygan[onnx] is installed")
def test_onnx_says_what_it_needs(tmp_path):
    with pytest.raises(ConfigError, match=r"ONNX needs .*onnx.*pip install 'thygan\[onnx\]', or export TorchScript"):
        export_onnx(tmp_path / "generator.onnx", Exported(tiny(0)))
