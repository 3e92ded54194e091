"""Generators as files: safetensors with the official names, and a JSON of the same name with the architecture."""

import hashlib
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from components.core.errors import DataError, is_out_of_memory, one_line
from components.core.io.atomic_files import atomic_write, file_sha256, npy_bytes, read_json, write_json
from components.core.stylegan2.generator import Generator

_LARGEST = 2**20  # limit of every number in a network's description
ARTIFACT_FILE = "generator.safetensors"  # in the folder of a Generator artifact


def save_snapshot(path: str | Path, G: Generator, kimg: float | None, centres: Tensor | None = None) -> None:
    """Writes `path` (a .safetensors file) and the JSON beside it; the JSON comes last, and marks a complete snapshot.

    Args:
        path: File of the tensors, with the suffix .safetensors.
        G: Generator, on any device.
        kimg: Length of its training, thousands of real images; None = unknown.
        centres: Class centres [c_dim, w_dim], for the file X.centres.npy; None = none.
    """
    path = Path(path)
    if centres is None:
        _centres_file(path).unlink(missing_ok=True)
    else:
        with atomic_write(_centres_file(path)) as beside:
            beside.write_bytes(npy_bytes(centres.cpu().numpy()))
    tensors = {name: value.detach().cpu().contiguous() for name, value in G.state_dict().items()}
    data = save(tensors)
    with atomic_write(path) as beside:
        beside.write_bytes(data)
    about = {"network": "Generator", "kimg": kimg, "arguments": G.arguments}
    write_json(path.with_suffix(".json"), {**about, "sha256": hashlib.sha256(data).hexdigest()})


def snapshot_file(path: str | Path) -> Path:
    """The .safetensors file of a path: the path itself, or the file in the folder of a Generator artifact."""
    path = Path(path)
    return path / ARTIFACT_FILE if path.is_dir() else path


def load_generator(path: str | Path, device: str | torch.device = "cpu") -> Generator:
    """Builds the generator of a snapshot, in evaluation mode and without gradients.

    Args:
        path: A .safetensors file with its JSON beside it, or the folder of a Generator artifact.
        device: Device of the generator.

    Raises:
        DataError: A file is missing, torn, or of another network.
    """
    path = snapshot_file(path)
    description = _description(path.with_suffix(".json"))
    if not path.exists():
        raise DataError(f"There is no snapshot {path}: give a .safetensors file of gan_train.")
    try:
        if "sha256" in description and file_sha256(path) != description["sha256"]:
            raise ValueError(f"its sha256 is not the one in {path.stem}.json")
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(
            f"{path} is torn, or not a safetensors file ({one_line(error)}): copy or train it again."
        ) from None
    try:
        G = _build(description["arguments"], tensors)
    except (TypeError, ValueError, AssertionError, ArithmeticError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise DataError(
            f"{path} does not hold the network that {path.stem}.json describes ({one_line(error)}): use a pair "
            "of files that gan_train wrote together."
        ) from None
    return G.eval().requires_grad_(False).to(device)


def load_centres(path: str | Path) -> Tensor | None:
    """The class centres [c_dim, w_dim] of a snapshot; None where it was saved without.

    Args:
        path: Snapshot, as `load_generator` takes it.

    Raises:
        DataError: The centres are torn, or belong to another network.
    """
    path = snapshot_file(path)
    file = _centres_file(path)
    if not file.exists():
        return None
    arguments = _description(path.with_suffix(".json"))["arguments"]
    try:
        centres = np.load(file, mmap_mode="r", allow_pickle=False)
        if centres.shape != (arguments["c_dim"], arguments["w_dim"]) or centres.dtype != np.float32:
            raise ValueError(f"{centres.dtype} {list(centres.shape)}")
    except (ValueError, KeyError, EOFError, OSError, SyntaxError, TokenError, RecursionError) as error:
        raise DataError(
            f"{file} is torn, or belongs to another network ({one_line(error)}): delete it; it can be computed again."
        ) from None
    return torch.from_numpy(np.array(centres))


def _build(arguments: dict[str, Any], tensors: dict[str, Tensor]) -> Generator:
    """Builds the network, once its size is known to equal that of the tensors."""
    for name, value in arguments.items():
        if isinstance(value, int | float) and not abs(value) <= (
            len(tensors) if name == "mapping_layers" else _LARGEST
        ):
            raise ValueError(f"{name} {value}")
    with torch.device("meta"):
        expected = {name: value.shape for name, value in Generator(**arguments).state_dict().items()}
    if odd := sorted(expected.items() ^ {name: value.shape for name, value in tensors.items()}.items()):
        raise ValueError(f"{odd[0][0]} of {list(odd[0][1])} has no counterpart")
    G = Generator(**arguments)
    G.load_state_dict(tensors)
    return G


def _centres_file(path: Path) -> Path:
    return path.with_suffix(".centres.npy")


def _description(path: Path) -> dict[str, Any]:
    description: Any = read_json(path)
    if not isinstance(description, dict) or not isinstance(description.get("arguments"), dict):
        raise DataError(f"{path} does not describe a generator: copy the snapshot's JSON again.")
    return description
