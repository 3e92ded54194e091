"""Transfer learning: a training starts from the weights of other networks, whose classes and sizes may differ.

Only weights are transferred: optimiser moments, path-length mean, ADA's p and counters start afresh (checkpoints resume
a training instead). Tensors are matched by name and shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from components.core.data.file_names import LINEAGE
from components.core.errors import DataError
from components.core.protocol.lineage import Lineage
from components.core.stylegan2.discriminator import Discriminator
from components.core.stylegan2.generator import Generator
from components.core.stylegan2.official_pickle import read_official
from components.core.stylegan2.snapshot import load_generator, snapshot_file

State = Mapping[str, Tensor]
_EMBED, _FIRST = "mapping.embed.weight", "mapping.fc0.weight"
_OF_CLASSES = (_EMBED, "mapping.embed.bias")


@dataclass(frozen=True)
class Start:
    """Networks to start from.

    Attributes:
        path: File of the networks.
        G: State dict of the generator.
        G_ema: State dict of its moving average.
        D: State dict of the discriminator; None = the file has none, and a new one is trained.
        lineage: Patients that the networks have seen; None = unknown.
    """

    path: Path
    G: State
    G_ema: State
    D: State | None
    lineage: Lineage | None


@dataclass
class Transferred:
    """Names of a network's tensors by the outcome of a transfer.

    Attributes:
        copied: Tensors copied unchanged.
        adapted: Tensors whose part for z was copied and whose part for labels is zero.
        fresh: Tensors of the new network without a counterpart of this name and shape, or for other classes.
        left: Tensors of the other network without a counterpart.
    """

    copied: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.copied)} tensors copied"]
        for what, names in (("adapted", self.adapted), ("initialised", self.fresh), ("not used", self.left)):
            if names:
                parts.append(f"{what}: {', '.join(names[:4])}{' …' if len(names) > 4 else ''}")
        return "; ".join(parts)


def read_start(path: str | Path) -> Start:
    """Reads networks: a thygan snapshot (.safetensors, or a Generator artifact's folder), or an official .pkl.

    Raises:
        DataError: The file is missing, torn, malicious, or of another kind.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        official = read_official(path)
        return Start(path, official.G.state, official.G_ema.state, official.D.state, None)
    path = snapshot_file(path)
    if path.suffix != ".safetensors":
        raise DataError(f"{path} is not a network: give a .safetensors of gan_train, or an official .pkl.")
    state = load_generator(path).state_dict()
    stated = path.parent / LINEAGE
    return Start(path, state, state, None, Lineage.read(stated) if stated.exists() else None)


@torch.no_grad()
def transfer(state: State, network: Generator | Discriminator) -> Transferred:
    """Copies the tensors that fit into a network.

    Where the numbers of classes differ, the new network keeps its embedding of labels, and the columns of the first
    mapping layer that read it are zero. The other columns keep their effect: the layer divides weights by the root of
    the number of its inputs (equalised learning rate), which may differ now.

    Args:
        state: Tensors of the other network.
        network: New network, on any device.
    """
    targets = network.state_dict()
    done = Transferred(left=sorted(state.keys() - targets.keys()))
    same_classes, z_dim = _classes(state) == _classes(targets), _z_dim(targets)
    same_latents = z_dim > 0 and z_dim == _z_dim(state)
    for name, target in targets.items():
        source = state.get(name)
        if name == _FIRST and not same_classes and same_latents and source is not None and len(source) == len(target):
            target.zero_()
            target[:, :z_dim] = source[:, :z_dim] * (target.shape[1] / source.shape[1]) ** 0.5
            done.adapted.append(name)
        elif source is None or source.shape != target.shape or (name in _OF_CLASSES and not same_classes):
            done.fresh.append(name)
        else:
            target.copy_(source)
            done.copied.append(name)
    return done


def _z_dim(state: State) -> int:
    """Number of inputs of the first mapping layer that are the latent's; the others are the embedded label's."""
    inputs = state[_FIRST].shape[1] if _FIRST in state else 0
    return inputs - (state[_EMBED].shape[0] if _EMBED in state else 0)


def _classes(state: State) -> int:
    return state[_EMBED].shape[1] if _EMBED in state else 0
