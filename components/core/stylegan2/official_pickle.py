"""Networks of the official release, `network-snapshot-KKKKKK.pkl`, read without executing anything in the file.

Such a file is a pickle of modules with their source text, which the official tools run. Here the source text is
skipped: the tensors and the recorded options are enough to build the network with thygan's code.
"""

import functools
import io
import math
import mmap
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from components.core.errors import DataError
from components.core.stylegan2.discriminator import Discriminator
from components.core.stylegan2.generator import Generator
from components.core.stylegan2.inert_pickle import MALFORMED, Builder, Shell, pickle_error, read_pickle, shell

Array = npt.NDArray[Any]
Options = Mapping[str, Any]

_STORAGES = {
    "torch.FloatStorage": "<f4",
    "torch.DoubleStorage": "<f8",
    "torch.HalfStorage": "<f2",
    "torch.LongStorage": "<i8",
    "torch.IntStorage": "<i4",
    "torch.ShortStorage": "<i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
_MAX_NAME_LENGTH = 100
_NUMBER_TYPE = re.compile(r"b1|[fiu][1248]")
_KIMG = re.compile(r"network-snapshot-(\d{6})\.pkl")
_FULLY_CONNECTED = re.compile(r"mapping\.fc\d+\.weight")
_BLOCK = re.compile(r"(?:synthesis\.)?b(\d{1,5})\..*")
# Options that thygan's networks do not have, with the value that they implement.
_FIXED = {"activation": "lrelu", "lr_multiplier": 0.01, "mbstd_num_channels": 1}


@dataclass(frozen=True)
class OfficialNetwork:
    """One network of an official snapshot.

    Attributes:
        arguments: Arguments of thygan's class.
        state: State dict, float32 on the CPU.
    """

    arguments: dict[str, Any]
    state: dict[str, Tensor]


@dataclass(frozen=True)
class OfficialSnapshot:
    """The networks of an official snapshot.

    Attributes:
        G: Generator.
        D: Discriminator.
        G_ema: Moving average of the generator, which draws images.
        kimg: Thousands of real images seen, from the file's name; None = it has another name.
    """

    G: OfficialNetwork
    D: OfficialNetwork
    G_ema: OfficialNetwork
    kimg: float | None


def read_official(path: str | Path) -> OfficialSnapshot:
    """Reads the networks of an official snapshot, without executing or importing anything that it names.

    Raises:
        DataError: The file is missing, torn, malicious, or holds networks of another architecture.
    """
    path = Path(path)
    content, size = _content(path)
    if not isinstance(content, dict) or not {"G", "D", "G_ema"} <= content.keys():
        raise DataError(f"{path} holds no G, D and G_ema: give a network-snapshot-*.pkl of StyleGAN2-ADA for PyTorch.")
    read = functools.partial(_network, what=str(path), limit_bytes=size)
    match = _KIMG.fullmatch(path.name)
    return OfficialSnapshot(
        G=read(content["G"], Generator, _generator_arguments),
        D=read(content["D"], Discriminator, _discriminator_arguments),
        G_ema=read(content["G_ema"], Generator, _generator_arguments),
        kimg=float(match[1]) if match else None,
    )


def _content(path: Path) -> tuple[Any, int]:
    """The pickle as data, and the file's size."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            return read_pickle(mapped, _builders(str(path)), str(path)), len(mapped)
    except FileNotFoundError:
        raise DataError(f"There is no file {path}.") from None
    except (OSError, ValueError) as error:  # a folder, an empty file
        raise pickle_error(str(path), error) from None


def _builders(what: str) -> dict[str, Builder]:
    """The globals that a network's pickle names. None of the functions copies or allocates more than a header."""
    cached = functools.cache(functools.partial(_storage, what=what))  # a pickle may repeat the same bytes

    def load_storage(data: bytes) -> Array:
        if type(data) is not bytes:  # hashing a hostile nest can overflow the stack
            raise TypeError("a storage that is not bytes")
        return cached(data)

    builders: dict[str, Builder] = {
        "torch_utils.persistence._reconstruct_persistent_obj": _module,
        "dnnlib.util.EasyDict": _empty_dict,
        "collections.OrderedDict": _empty_dict,
        "builtins.set": shell,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": lambda data, requires_grad, hooks: data,
        "torch.storage._load_from_bytes": load_storage,
        "numpy.dtype": shell,
        "numpy.ndarray": shell,
    }
    for package in ("numpy.core", "numpy._core"):
        builders[f"{package}.multiarray.scalar"] = _scalar
        builders[f"{package}.multiarray._reconstruct"] = shell
        builders[f"{package}.numeric._frombuffer"] = shell
    return builders


def _module(meta: dict[str, Any]) -> Shell:
    return Shell((meta["class_name"],), meta["state"])


def _empty_dict() -> dict[str, Any]:
    return {}


def _scalar(dtype: Shell, data: bytes) -> Any:
    kind = dtype.arguments[0]
    return np.frombuffer(data, f"<{kind}", 1)[0].item() if _NUMBER_TYPE.fullmatch(kind) else shell(dtype, data)


def _tensor(storage: Array, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Array:
    """A view of a storage; numpy refuses one that reaches beyond its end."""
    if not all(type(number) is int for number in (offset, *size, *stride)):
        raise TypeError("a tensor whose geometry is not numeric")
    item = storage.itemsize
    strides = tuple(item * step for step in stride)
    if min(offset, *strides, 0) < 0:
        raise ValueError("a tensor that begins before its storage")
    view: Array = np.ndarray(size, storage.dtype, storage.data, item * offset, strides)
    if view.nbytes > storage.nbytes:  # strides of 0
        raise ValueError("a tensor that is larger than its storage")
    return view


def _storage(data: bytes, what: str) -> Array:
    """The 1-D array in the bytes of a torch storage: five pickles, the number of elements, and the elements."""
    file = io.BytesIO(data)
    for _ in range(3):  # a magic number, the protocol's version, sizes of types
        read_pickle(file, {}, what)
    _, kind, _, _, _, view = read_pickle(file, dict.fromkeys(_STORAGES, shell), what, persistent_load=tuple)
    read_pickle(file, {}, what)  # the one storage's key
    if view is not None:
        raise ValueError("a storage that is a part of another")
    elements = int.from_bytes(file.read(8), "little")
    return np.frombuffer(data, _STORAGES[kind.path], elements, file.tell())


def _network(
    network: Any,
    build: Callable[..., nn.Module],
    arguments_of: Callable[[Mapping[str, Array], Options], dict[str, Any]],
    what: str,
    limit_bytes: int,
) -> OfficialNetwork:
    try:
        arrays = _arrays(network)
        if sum(array.nbytes for array in arrays.values()) > limit_bytes:
            raise ValueError("tensors that are larger than the file")
        arguments = arguments_of(arrays, network.state.get("_init_kwargs", {}))
        with torch.device("meta"):
            expected = {name: tuple(value.shape) for name, value in build(**arguments).state_dict().items()}
    except (*MALFORMED, AssertionError, ArithmeticError, RuntimeError) as error:
        raise pickle_error(what, error) from None
    shapes = {name: array.shape for name, array in arrays.items()}
    if odd := sorted(set(expected.items()) ^ set(shapes.items())):
        raise DataError(
            f"{what} holds another network than StyleGAN2-ADA's: {odd[0][0][:80]!r} of {list(odd[0][1])} has no "
            "counterpart; give a snapshot of the unchanged architecture."
        )
    return OfficialNetwork(arguments, {name: torch.from_numpy(arrays[name].astype(np.float32)) for name in expected})


def _arrays(network: Shell) -> dict[str, Array]:
    """Parameters and buffers by name; refuses modules that share parts, by which a file could grow without limit."""
    arrays: dict[str, Array] = {}
    seen: set[int] = set()

    def first(value: Any) -> Any:
        if id(value) in seen:
            raise ValueError("modules that contain each other")
        seen.add(id(value))
        return value

    def join(prefix: str, name: str) -> str:
        if len(prefix) + len(name) > _MAX_NAME_LENGTH:
            raise ValueError("modules that are nested too deeply")
        return prefix + name

    waiting = [("", network)]
    while waiting:
        prefix, module = waiting.pop()
        state = first(module).state
        for kind in ("_parameters", "_buffers"):
            arrays |= {join(prefix, name): value for name, value in first(state[kind]).items() if value is not None}
        waiting += [(join(prefix, name) + ".", child) for name, child in first(state["_modules"]).items()]
    return arrays


def _generator_arguments(arrays: Mapping[str, Array], options: Options) -> dict[str, Any]:
    synthesis = _check_fixed(options.get("synthesis_kwargs", {}))
    _check_fixed(options.get("mapping_kwargs", {}))
    side, w_dim, c_dim = _resolution(arrays), len(arrays["mapping.w_avg"]), _classes(arrays)
    last = f"synthesis.b{side}"
    plain = "skip" if "synthesis.b4.torgb.weight" in arrays else "orig"
    return {
        "z_dim": arrays["mapping.fc0.weight"].shape[1] - (w_dim if c_dim else 0),
        "c_dim": c_dim,
        "w_dim": w_dim,
        "img_resolution": side,
        "img_channels": len(arrays[f"{last}.torgb.weight"]),
        "mapping_layers": _mapping_layers(arrays),
        "architecture": "resnet" if f"{last}.skip.weight" in arrays else plain,
        "use_noise": f"{last}.conv1.noise_const" in arrays,
        "channel_base": _number(synthesis, "channel_base", side * len(arrays[f"{last}.conv1.weight"])),
        "channel_max": _number(synthesis, "channel_max", len(arrays["synthesis.b4.const"])),
        **_precision_arguments(synthesis),
    }


def _discriminator_arguments(arrays: Mapping[str, Array], options: Options) -> dict[str, Any]:
    epilogue = _check_fixed(options.get("epilogue_kwargs", {}))
    _check_fixed(options.get("mapping_kwargs", {}))
    side, c_dim = _resolution(arrays), _classes(arrays)
    plain = "skip" if "b4.fromrgb.weight" in arrays else "orig"
    return {
        "c_dim": c_dim,
        "img_resolution": side,
        "img_channels": arrays[f"b{side}.fromrgb.weight"].shape[1],
        "mapping_layers": _mapping_layers(arrays) if c_dim else 8,
        "architecture": "resnet" if f"b{side}.skip.weight" in arrays else plain,
        "mbstd_group_size": _number(epilogue, "mbstd_group_size", 4),
        "channel_base": _number(options, "channel_base", side * len(arrays[f"b{side}.fromrgb.weight"])),
        "channel_max": _number(options, "channel_max", len(arrays["b4.fc.weight"])),
        **_precision_arguments(_check_fixed(options)),
    }


def _check_fixed(options: Options) -> Options:
    """The recorded options; refuses values that thygan's networks do not implement."""
    for key, value in _FIXED.items():
        recorded = options.get(key, value)
        if not isinstance(recorded, str | int | float):
            raise TypeError(f"{key} is neither text nor number")
        if recorded != value:
            raise ValueError(f"{key} {recorded!r}, where thygan has only {value!r}")
    return options


def _precision_arguments(options: Options) -> dict[str, Any]:
    return {"num_fp16_res": _number(options, "num_fp16_res", 0), "conv_clamp": _number(options, "conv_clamp", None)}


def _number(options: Options, key: str, default: float | None) -> float | None:
    value: float | None = options.get(key, default)
    if not (value is None or (isinstance(value, int | float) and math.isfinite(value))):
        raise TypeError(f"{key} is not a number")
    return value


def _resolution(arrays: Mapping[str, Array]) -> int:
    return max(int(block[1]) for name in arrays if (block := _BLOCK.fullmatch(name)))


def _classes(arrays: Mapping[str, Array]) -> int:
    return arrays["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in arrays else 0


def _mapping_layers(arrays: Mapping[str, Array]) -> int:
    return sum(bool(_FULLY_CONNECTED.fullmatch(name)) for name in arrays)
