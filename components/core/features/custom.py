"""A network of the user's own as a feature extractor: a description and a weights file in the weights folder or bucket.

NAME.json, for example dinov2-small.json; `--extractor dinov2-small` finds it:

    {
      "architecture": "vit_small_patch14_dinov2", "arguments": {"img_size": 224},
      "file": "dinov2-small.safetensors", "sha256": "<64 hex digits>",
      "input_px": 224, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
      "licence": "Apache-2.0", "source": "DINOv2, LVD-142M"
    }

The architecture and its arguments are timm's, which has DINOv2 and the backbones of most pathology models; mean and std
are those of pixels in 0..1. The weights are a state dict, safetensors or read with `weights_only`: no file brings code.
"""

import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from components.core.errors import WeightsError, is_out_of_memory
from components.core.features.backbones import Backbone
from components.core.features.registry import Weights
from components.core.features.weights import locate, read_description
from components.core.io.atomic_files import file_sha256

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_HEX = re.compile(r"[0-9a-f]{64}")
_TEXTS = ("architecture", "file", "sha256", "licence", "source")


def build_own(name: str, weights_dir: str = "") -> tuple[Backbone, int] | None:
    """The network and the side of its input; None where nobody describes one of that name.

    Raises:
        WeightsError: The description is incomplete, the weights are missing, another file, or of another network.
    """
    stated = read_description(name, weights_dir) if _NAME.fullmatch(name) else None
    if stated is None:
        return None
    if wrong := _what_is_wrong(stated):
        raise WeightsError(f"{name}.json does not describe a network: {wrong}; write it as in the README.")
    weights = Weights(name, stated["file"], stated["sha256"], 0, stated["licence"], stated["source"])
    path = locate(weights, weights_dir)
    module = _module(name, stated, path).eval()
    _try(module, name, stated["input_px"])
    mean, std = (tuple(255.0 * value for value in stated[key]) for key in ("mean", "std"))
    return Backbone(name, module, module.num_features, mean, std, file_sha256(path), True), stated["input_px"]


@torch.no_grad()
def _try(module: Any, name: str, input_px: int) -> None:
    try:
        module(torch.zeros(1, 3, input_px, input_px))
    except (RuntimeError, AssertionError) as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{name} does not see images of {input_px} px ({reason}): correct input_px or arguments in {name}.json."
        ) from None


def _module(name: str, stated: dict[str, Any], path: Path) -> Any:
    import timm  # it loads long

    try:
        module = timm.create_model(stated["architecture"], pretrained=False, num_classes=0, **stated["arguments"])
        safe = path.suffix == ".safetensors"
        state = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
        module.load_state_dict(state)
    except (RuntimeError, TypeError, AssertionError, AttributeError, SafetensorError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise WeightsError(
            f"{path} does not fit {stated['architecture']} with {stated['arguments']} ({reason}): correct {name}.json, "
            "or rename the tensors as timm names them, without the head."
        ) from None
    return module


def _what_is_wrong(stated: Any) -> str:
    """What a description lacks; '' where it is one."""
    if not isinstance(stated, dict):
        return "it is no JSON object"
    for key in _TEXTS:
        if not isinstance(stated.get(key), str) or not stated[key]:
            return f"{key} must be a text"
    if Path(stated["file"]).name != stated["file"]:
        return "file must be a name without a folder"
    if not _HEX.fullmatch(stated["sha256"]):
        return "sha256 must be 64 hex digits"
    if not isinstance(stated.setdefault("arguments", {}), dict) or "pretrained" in stated["arguments"]:
        return "arguments must be a JSON object, without pretrained"
    if type(stated.get("input_px")) is not int or stated["input_px"] < 1:
        return "input_px must be a whole number"
    for key in ("mean", "std"):
        values = stated.get(key)
        numbers = values if isinstance(values, list) else []
        if len(numbers) != 3 or not all(isinstance(one, int | float) for one in numbers):
            return f"{key} must be three numbers"
    return "" if min(stated["std"]) > 0 else "std must be three numbers above 0"
