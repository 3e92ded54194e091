"""A training's whole state as one safetensors file, which knows whether it is intact.

Tensors have flat names; the rest (numbers, texts, the shape of the nesting) is JSON in the file's header, with the
sha256 of everything. Nothing in such a file is ever executed.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from components.core.errors import DataError, StoreError, TrainingError, one_line
from components.core.io.atomic_files import atomic_write
from components.core.store.folder import sync

FORMAT = 1
_HEADER = "thygan"  # one entry only: the library writes several in changing order
_LENGTH_BYTES = 8  # of the header's length, at the file's start


@dataclass(frozen=True)
class Saved:
    """The content of a state file.

    Attributes:
        state: Nested dicts, lists and tuples of tensors (on the CPU), numbers and strings.
        meta: JSON values about the state.
    """

    state: dict[str, Any]
    meta: dict[str, Any]


def write_state(path: Path, state: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Writes a state, complete or not at all, and on the disk when it returns.

    Args:
        path: File to write.
        state: Nested dicts (keys: strings or integers), lists and tuples of tensors, numbers, strings, None. Type,
            shape, memory layout and every bit of a tensor survive. An optimizer's `state_dict()` is such a state.
        meta: JSON values.

    Raises:
        StoreError: The disk is full or refuses.
    """
    tensors: dict[str, Tensor] = {}
    header = {"format": FORMAT, "meta": dict(meta), "tree": flatten(state, tensors)}
    header["sha256"] = _digest(header, tensors)
    try:
        with atomic_write(path) as beside:
            save_file(tensors, beside, {_HEADER: json.dumps(header)})
            _verify_size(beside, sum(tensor.nbytes for tensor in tensors.values()))
            sync(beside)
        sync(path.parent)
    except (OSError, SafetensorError) as error:
        raise StoreError(
            f"{path} cannot be written ({one_line(error)}): free some space on the disk, or correct its permissions."
        ) from None


def read_state(path: Path) -> Saved:
    """Reads a state that `write_state` wrote.

    Raises:
        DataError: The file is missing, torn, or of another kind.
        TrainingError: The file is intact, but of a format that this version does not know.
    """
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()[_HEADER])
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        expected = header.pop("sha256")
        if expected != _digest(header, tensors):
            raise ValueError("its bytes are not those that were written")
        if header["format"] != FORMAT:
            raise TrainingError(
                f"{path} has format {one_line(header['format'])} and this thygan reads {FORMAT}: use the version "
                "that wrote it, or give another checkpoint folder."
            )
        return Saved(unflatten(header["tree"], tensors), header["meta"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{path} is torn, or not a checkpoint ({one_line(error)}).") from None


def flatten(value: Any, tensors: dict[str, Tensor], name: str = "") -> Any:
    """Moves the tensors of a nest into `tensors` and returns the rest as JSON values.

    A dict of the state becomes an object with the one key "dict", so that it is never taken for a tensor or a tuple.
    """
    if isinstance(value, Tensor):
        while not name or name in tensors:  # {"a": {"b": x}, "a.b": y}
            name += "'"
        strides = value.stride()
        order = sorted(range(value.ndim), key=lambda axis: -strides[axis])  # the outermost axis first
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name, "order": order}
    inside = f"{name}." if name else ""
    if isinstance(value, Mapping):
        if not all(type(key) in (str, int) for key in value):
            raise TypeError(f"The keys of {name!r} must be strings or integers: {list(value)}")
        return {"dict": [[key, flatten(one, tensors, f"{inside}{key}")] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        items = [flatten(one, tensors, f"{inside}{index}") for index, one in enumerate(value)]
        return items if isinstance(value, list) else {"tuple": items}
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{name!r} is a {type(value).__name__}: a state holds tensors, numbers and strings.")


def unflatten(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The nest whose tensors `flatten` took out."""
    if isinstance(value, list):
        return [unflatten(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    if "dict" in value:
        return {key: unflatten(one, tensors) for key, one in value["dict"]}
    if "tuple" in value:
        return tuple(unflatten(one, tensors) for one in value["tuple"])
    # Adam's fused step reads parameter and moments side by side and assumes equal memory layouts.
    tensor, order = tensors[value["tensor"]], value["order"]
    inverse = [order.index(axis) for axis in range(tensor.ndim)]
    if len(order) != tensor.ndim:
        raise ValueError(f"{order} does not order {tensor.ndim} axes")
    return tensor.permute(order).contiguous().permute(inverse)


def _digest(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> str:
    """sha256 of the header and of every tensor's name, type, shape and bytes."""
    total = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        total.update(f"{name!r} {tensor.dtype} {tuple(tensor.shape)}".encode())
        total.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _verify_size(path: Path, tensor_bytes: int) -> None:
    with path.open("rb") as file:
        expected = _LENGTH_BYTES + int.from_bytes(file.read(_LENGTH_BYTES), "little") + tensor_bytes
    if (size := path.stat().st_size) != expected:
        raise OSError(f"{size} of {expected} bytes arrived")
