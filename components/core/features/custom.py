"""A network of the user's own as a feature extractor: a description and a weights file in the weights folder or bucket.

NAME.json, for example dinov2-small.json; `--extractor dinov2-small` finds it:

    {
      "architecture": "vit_small_patch14_dinov2", "arguments": {"img_size": 224},
      "file": "dinov2-small.safetensors", "sha256": "<64 hex digits>",
      "input_px": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
      "licence": "Apache-2.0", "source": "DINOv2, LVD-142M"
    }

The architecture and its arguments are timm's, which has DINOv2 and the backbones of most pathology models; mean and std
are those of pixels in 0..1. The weights are a state dict, in safetensors or read with `weights_only`, so no file runs
code.
"""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from components.core.errors import WeightsError, is_out_of_memory, one_line
from components.core.features.backbones import Backbone
from components.core.features.registry import Weights
from components.core.features.weights import locate, read_description
from components.core.io.atomic_files import file_sha256

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEX = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("architecture", "file", "sha256", "licence", "source")


def build_custom(name: str, weights_dir: str = "") -> tuple[Backbone, int] | None:
    """The network and the side of its input, pixels; None where the weights folder has no description of that name.

    Raises:
        WeightsError: The description is incomplete, or the weights are missing, unverified or of another architecture.
    """
    description = read_description(name, weights_dir) if _NAME.fullmatch(name) else None
    if description is None:
        return None
    if problem := _description_problem(description):
        raise WeightsError(f"{name}.json does not describe a network: {problem}. Write it as in the README.")
    weights = Weights(
        name, description["file"], description["sha256"], 0, description["licence"], description["source"]
    )
    path = locate(weights, weights_dir)
    module = _load_module(name, description, path).eval()
    _check_input(module, name, description["input_px"])
    mean, std = (tuple(255.0 * value for value in description[key]) for key in ("mean", "std"))
    return Backbone(name, module, module.num_features, mean, std, file_sha256(path), True), description["input_px"]


@torch.no_grad()
def _check_input(module: Any, name: str, input_px: int) -> None:
    try:
        module(torch.zeros(1, 3, input_px, input_px))
    except (RuntimeError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        reason = one_line(error, 200)
        raise WeightsError(
            f"{name} does not take images of {input_px} px ({reason}): correct input_px or arguments in {name}.json."
        ) from None


def _load_module(name: str, description: dict[str, Any], path: Path) -> Any:
    import timm  # slow to import

    try:
        module = timm.create_model(
            description["architecture"], pretrained=False, num_classes=0, **description["arguments"]
        )
        safe = path.suffix == ".safetensors"
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AssertionError, AttributeError, SafetensorError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        reason = one_line(error, 200)
        raise WeightsError(
            f"{path} does not fit {description['architecture']} with {description['arguments']} ({reason}): correct "
            f"{name}.json, or rename the tensors as timm names them, without the head."
        ) from None
    return module


def _description_problem(description: Any) -> str:
    """Why a description is invalid; '' = it is valid."""
    if not isinstance(description, dict):
        return "it is not a JSON object"
    for key in _TEXTS:
        if not isinstance(description.get(key), str) or not description[key]:
            return f"{key} must be a string"
    if Path(description["file"]).name != description["file"]:
        return "file must be a name without a folder"
    if not _HEX.fullmatch(description["sha256"]):
        return "sha256 must be 64 hex digits"
    if not isinstance(description.setdefault("arguments", {}), dict) or "pretrained" in description["arguments"]:
        return "arguments must be a JSON object, without pretrained"
    if type(description.get("input_px")) is not int or description["input_px"] < 1:
        return "input_px must be a whole number"
    for key in ("mean", "std"):
        values = description.get(key)
        numbers = values if isinstance(values, list) else []
        if len(numbers) != 3 or not all(isinstance(one, int | float) for one in numbers):
            return f"{key} must be three numbers"
    return "" if min(description["std"]) > 0 else "std must be three numbers above 0"
