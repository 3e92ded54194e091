"""Generators for programs that do not know thygan: TorchScript and ONNX files, latents and labels in, images out.

They compute in float32, with the stored noise and a fixed truncation. Each is run before it is handed over: an exporter
can fail without a word, above all where a batch has another size than the one that it saw.
"""

import importlib.util
import io
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from components.core.errors import ConfigError, DataError
from components.core.io.atomic_files import atomic_write
from components.core.stylegan2.generator import Generator
from components.core.stylegan2.sampling import check_centres, latents, one_hot

_ONNX_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
_BATCHES = (1, 3)  # that a written file is run with
_HALF_A_GREY_LEVEL = 0.5 / 127.5


class Exported(nn.Module):
    """What a file holds: a generator with its truncation.

    Args:
        G: On any device; it is copied.
        psi: Truncation, 0 to 1 (none).
        centres: What each class is truncated towards, [c_dim, w_dim]; None = the mean of all.

    Raises:
        ConfigError: psi is out of range, or the centres are another network's.
    """

    centres: Tensor | None

    def __init__(self, G: Generator, psi: float = 1.0, centres: Tensor | None = None) -> None:
        super().__init__()
        if not 0 <= psi <= 1:
            raise ConfigError(f"psi is {psi}: give a number from 0 to 1, which is no truncation.")
        check_centres(centres, G)
        self.psi = psi
        self.G = Generator(**{**G.arguments, "num_fp16_res": 0})
        self.G.load_state_dict(G.state_dict())
        self.register_buffer("centres", None if centres is None else centres.detach().cpu())
        self.eval().requires_grad_(False)

    def forward(self, z: Tensor, c: Tensor | None = None) -> Tensor:
        """Latents [N, z_dim] and, where there are classes, labels [N, c_dim] to images [N, C, R, R] in [-1, 1]."""
        centre = None if self.centres is None or c is None else c @ self.centres  # [N, w_dim]
        return self.G(z, c, truncation_psi=self.psi, truncation_centre=centre, noise_mode="const")

    def inputs(self, n: int) -> dict[str, Tensor]:
        """Those of n images: the latents of seeds from 0 on, and one class after the other."""
        z, c_dim = torch.from_numpy(latents(range(n), self.G.z_dim)).float(), self.G.c_dim
        return {"z": z, "c": one_hot([index % c_dim for index in range(n)], c_dim)} if c_dim else {"z": z}


@torch.no_grad()
def export_torchscript(path: str | Path, network: Exported) -> float:
    """Writes a file for `torch.jit.load`; what it gives is called as `network` is.

    Returns:
        The largest difference between its images and ours, which are in [-1, 1].

    Raises:
        DataError: It draws other images.
    """
    # Of one image: what the trace takes for a constant batch of one is broadcast to any other.
    one = tuple(network.inputs(1).values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # the sizes that it takes for constants are constant
        warnings.simplefilter("ignore", FutureWarning)  # torch calls TorchScript old; others still read it
        full = io.BytesIO()
        torch.jit.save(torch.jit.trace(network, one), full)  # type: ignore[no-untyped-call]
        with atomic_write(path) as beside:
            _copy_without_sources(full, beside)
            again = torch.jit.load(str(beside))  # type: ignore[no-untyped-call]
            return _difference(path, network, lambda inputs: again(*inputs.values()))


@torch.no_grad()
def export_onnx(path: str | Path, network: Exported) -> float:
    """Writes an ONNX file with the inputs `z` and, where there are classes, `c`, and the output `images`.

    Returns:
        The largest difference between its images and ours, which are in [-1, 1].

    Raises:
        ConfigError: The packages for ONNX are not installed.
        DataError: It draws other images.
    """
    if absent := [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"ONNX needs {', '.join(absent)}, which this environment has not: pip install 'thygan[onnx]', or export "
            "TorchScript."
        )
    import onnxruntime

    two, number = network.inputs(2), torch.export.Dim("n", min=1)
    sizes = {name: {0: number} for name in two}
    # strict: the other way takes the number of images for a constant.
    program = torch.export.export(network, tuple(two.values()), dynamic_shapes=sizes, strict=True)
    model = torch.onnx.export(program, dynamo=True, input_names=[*two], output_names=["images"], verbose=False)
    assert model, "without a file's name torch hands the model over"
    for node in model.model.graph:
        node.metadata_props.clear()  # where in this machine's files it comes from
    with atomic_write(path) as beside:
        model.save(str(beside))
        session = onnxruntime.InferenceSession(str(beside))

        def run(inputs: dict[str, Tensor]) -> Tensor:
            given = {name: value.numpy() for name, value in inputs.items()}
            return torch.from_numpy(session.run(["images"], given)[0])

        return _difference(path, network, run)


def _copy_without_sources(full: io.BytesIO, bare: Path) -> None:
    """A TorchScript file says for every operation where in this machine's files it comes from; nobody needs that."""
    with zipfile.ZipFile(full) as source, zipfile.ZipFile(bare, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(entry, source.read(entry))


def _difference(path: str | Path, network: Exported, run: Callable[[dict[str, Tensor]], Tensor]) -> float:
    difference = 0.0
    for n in _BATCHES:
        inputs = network.inputs(n)
        ours, theirs = network(**inputs), run(inputs)
        difference = max(difference, float((ours - theirs).abs().max()) if ours.shape == theirs.shape else 2.0)
    if not difference < _HALF_A_GREY_LEVEL:
        raise DataError(
            f"{path} would draw other images than thygan (they differ by {difference:.3g} in [-1, 1]), so it was not "
            "kept: export it with other versions of the packages, or in another format."
        )
    return difference
