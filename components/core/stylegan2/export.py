"""Export of generators as TorchScript and ONNX files, from latents and labels to images.

The files compute in float32, with the stored noise and a fixed truncation. Each is run before it is kept: an exporter
can fail silently, above all where a batch has another size than the traced one.
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
_BATCHES = (1, 3)  # sizes with which a file is tested
_HALF_A_GREY_LEVEL = 0.5 / 127.5


class Exported(nn.Module):
    """The module in an exported file: a generator with its truncation.

    Args:
        G: Generator on any device; it is copied.
        psi: Truncation, 0..1; 1 = none.
        centres: Class centres of the truncation [c_dim, w_dim]; None = the mean of all w.

    Raises:
        ConfigError: psi is out of range, or the centres belong to another network.
    """

    centres: Tensor | None

    def __init__(self, G: Generator, psi: float = 1.0, centres: Tensor | None = None) -> None:
        super().__init__()
        if not 0 <= psi <= 1:
            raise ConfigError(f"psi is {psi}: give a number from 0 to 1 (1 = no truncation).")
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
        """Inputs for n images: the latents of the seeds from 0, and the classes in turn."""
        z, c_dim = torch.from_numpy(latents(range(n), self.G.z_dim)).float(), self.G.c_dim
        return {"z": z, "c": one_hot([index % c_dim for index in range(n)], c_dim)} if c_dim else {"z": z}


@torch.no_grad()
def export_torchscript(path: str | Path, network: Exported) -> float:
    """Writes a file for `torch.jit.load`; its module is called as `network` is.

    Returns:
        Largest difference between its images and those of `network`, in [-1, 1].

    Raises:
        DataError: The file draws other images.
    """
    # Traced with one image: a batch of one that the trace makes constant is broadcast to any other.
    example = tuple(network.inputs(1).values())
    with warnings.catch_warnings():
        # the sizes that a trace makes constant are constant
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        warnings.simplefilter("ignore", FutureWarning)  # deprecated in torch, but other programs read it
        full = io.BytesIO()
        torch.jit.save(torch.jit.trace(network, example), full)
        with atomic_write(path) as beside:
            _copy_without_sources(full, beside)
            again = torch.jit.load(str(beside))
            return _difference(path, network, lambda inputs: again(*inputs.values()))


@torch.no_grad()
def export_onnx(path: str | Path, network: Exported) -> float:
    """Writes an ONNX file with the inputs `z` and, where there are classes, `c`, and the output `images`.

    Returns:
        Largest difference between its images and those of `network`, in [-1, 1].

    Raises:
        ConfigError: The packages for ONNX are not installed.
        DataError: The file draws other images.
    """
    if absent := [name for name in _ONNX_PACKAGES if importlib.util.find_spec(name) is None]:
        raise ConfigError(
            f"ONNX needs {', '.join(absent)}, which are not installed: pip install 'thygan[onnx]', or export "
            "TorchScript."
        )
    import onnxruntime

    two, number = network.inputs(2), torch.export.Dim("n", min=1)
    sizes = {name: {0: number} for name in two}
    # strict: the default makes the number of images constant.
    program = torch.export.export(network, tuple(two.values()), dynamic_shapes=sizes, strict=True)
    model = torch.onnx.export(program, dynamo=True, input_names=[*two], output_names=["images"], verbose=False)
    assert model, "without a file name, torch returns the model"
    for node in model.model.graph:
        node.metadata_props.clear()  # source paths on this machine
    with atomic_write(path) as beside:
        model.save(str(beside))
        session = onnxruntime.InferenceSession(str(beside))

        def run(inputs: dict[str, Tensor]) -> Tensor:
            feeds = {name: value.numpy() for name, value in inputs.items()}
            return torch.from_numpy(session.run(["images"], feeds)[0])

        return _difference(path, network, run)


def _copy_without_sources(full: io.BytesIO, bare: Path) -> None:
    """Copies a TorchScript file without its source paths on this machine."""
    with zipfile.ZipFile(full) as source, zipfile.ZipFile(bare, "w") as target:
        for entry in source.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                target.writestr(entry, source.read(entry))


def _difference(path: str | Path, network: Exported, run: Callable[[dict[str, Tensor]], Tensor]) -> float:
    difference = 0.0
    for n in _BATCHES:
        inputs = network.inputs(n)
        expected, images = network(**inputs), run(inputs)
        error = float((expected - images).abs().max()) if expected.shape == images.shape else 2.0
        difference = max(difference, error)
    if not difference < _HALF_A_GREY_LEVEL:
        raise DataError(
            f"{path} would draw other images than thygan (difference {difference:.3g} in [-1, 1]) and was removed: "
            "export with other versions of the packages, or in another format."
        )
    return difference
