"""Snapshots in the official form for tests, written by Python's own pickle in a process of its own.

That process has stand-ins for the official support modules, so that the names in the file are the official ones; here
they do not exist, as on a user's machine.
"""

import json
import subprocess
import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np

BUFFERS = ("resample_filter", "noise_const", "w_avg")
OPTIONS = {
    "G": {
        "mapping_kwargs": {"num_layers": 8},
        "synthesis_kwargs": {"channel_base": 1024, "channel_max": 64, "num_fp16_res": 4, "conv_clamp": 256},
    },
    "D": {
        "channel_base": 1024,
        "channel_max": 64,
        "num_fp16_res": 4,
        "conv_clamp": 256,
        "epilogue_kwargs": {"mbstd_group_size": 4},
        "block_kwargs": {},
        "mapping_kwargs": {},
    },
}


def write_official(folder, files):
    """Writes snapshot files, all in one process.

    Args:
        folder: Where to.
        files: By name: `networks` (state dicts of G, D and G_ema, name to array), and where wanted `options` (recorded
            constructor options of G and D), `protocol` (of the pickle) and `source` (the modules' source text).

    Returns:
        The paths by name.
    """
    plans = {}
    for name, file in files.items():
        networks = file["networks"]
        arrays = {f"{key}/{tensor}": np.asarray(one[tensor]) for key, one in networks.items() for tensor in one}
        np.savez(folder / f"{name}.npz", **arrays)
        plans[name] = {"options": {"G": {}, "D": {}}, "protocol": 4, "source": "raise SystemExit"} | {
            key: value for key, value in file.items() if key != "networks"
        }
    subprocess.run([sys.executable, __file__, folder, json.dumps(plans)], check=True)
    return {name: folder / name for name in files}


def _write_all(folder, plans):
    import pickle

    import torch

    class EasyDict(dict):
        pass

    def _reconstruct_persistent_obj(meta):
        raise AssertionError("written here, never read")

    class Module:
        def __init__(self, meta):
            self.meta = meta

        def __reduce__(self):
            return _reconstruct_persistent_obj, (self.meta,)

    for module, value in (("dnnlib.util", EasyDict), ("torch_utils.persistence", _reconstruct_persistent_obj)):
        package = module.partition(".")[0]
        sys.modules[package], sys.modules[module] = types.ModuleType(package), types.ModuleType(module)
        value.__module__, value.__qualname__ = module, value.__name__
        setattr(sys.modules[module], value.__name__, value)

    def easy(value):
        return EasyDict({key: easy(one) for key, one in value.items()}) if isinstance(value, dict) else value

    def build(name, tensors, options, source):
        """A module of the tensors below it, with attributes such as such modules have."""
        parameters, buffers, below = OrderedDict(), OrderedDict(), {}
        for key, value in tensors.items():
            first, _, rest = key.partition(".")
            if rest:
                below.setdefault(first, {})[rest] = value
            elif key in BUFFERS:
                buffers[key] = torch.from_numpy(value)
            else:
                parameters[key] = torch.nn.Parameter(torch.from_numpy(value), requires_grad=False)
        if "weight" in parameters:
            parameters.setdefault("bias", None)
        modules = OrderedDict((key, build(key, value, EasyDict(), source)) for key, value in below.items())
        state = {
            "_init_args": (),
            "_init_kwargs": options,
            "training": False,
            "_parameters": parameters,
            "_buffers": buffers,
            "_non_persistent_buffers_set": set(),
            "_backward_hooks": OrderedDict(),
            "_modules": modules,
            "weight_gain": 1 / np.sqrt(np.float64(512)),
            "some_array": np.arange(3),
        }
        return Module(EasyDict(type="class", version=6, module_src=source, class_name=name, state=state))

    for name, plan in plans.items():
        networks = {"G": {}, "D": {}, "G_ema": {}}
        with np.load(folder / f"{name}.npz") as file:
            for key, value in file.items():
                network, _, tensor = key.partition("/")
                networks[network][tensor] = value
        (folder / f"{name}.npz").unlink()
        content = {"training_set_kwargs": EasyDict(path="data.zip", use_labels=True, max_size=None)}
        for network, tensors in networks.items():
            kind = "Discriminator" if network == "D" else "Generator"
            content[network] = build(kind, tensors, easy(plan["options"][network[0]]), plan["source"])
        content["augment_pipe"] = build("AugmentPipe", {"p": np.zeros([], np.float32)}, EasyDict(), plan["source"])
        with (folder / name).open("wb") as file:
            pickle.dump(content, file, protocol=plan["protocol"])


if __name__ == "__main__":
    _write_all(Path(sys.argv[1]), json.loads(sys.argv[2]))
