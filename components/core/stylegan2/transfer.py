"""Transfer: a training begins with the weights of other networks; their class counts and sizes may differ.

Only weights pass: optimiser moments, path-length mean, ADA's p and counters begin anew (for a training that goes on,
see checkpoints). Tensors are matched by name and shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from components.core.data.archive import LINEAGE
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
    """Networks to begin with.

    Attributes:
        path: Where they were read.
        G: State dict of the generator.
        G_ema: Of its moving average.
        D: Of the discriminator; None = the file has none, and a new one is trained.
        lineage: What they were made from; None = nobody says.
    """

    path: Path
    G: State
    G_ema: State
    D: State | None
    lineage: Lineage | None


@dataclass
class Transferred:
    """Names of a network's tensors, by what became of them.

    Attributes:
        copied: As they were.
        adapted: The part for z copied, that for labels zero.
        fresh: Of the new network: the other has none of this name and shape, or embeds other classes.
        left: Of the other network, for which there is no place.
    """

    copied: list[str] = field(default_factory=list)
    adapted: list[str] = field(default_factory=list)
    fresh: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [f"{len(self.copied)} tensors copied"]
        for what, names in (("adapted", self.adapted), ("begun anew", self.fresh), ("left behind", self.left)):
            if names:
                parts.append(f"{what}: {', '.join(names[:4])}{' …' if len(names) > 4 else ''}")
        return "; ".join(parts)


def read_start(path: str | Path) -> Start:
    """Reads networks: a snapshot of ours (.safetensors, or a Generator artifact's folder), or an official .pkl.

    Raises:
        DataError: It is missing, torn, hostile, or of another kind.
    """
    path = Path(path)
    if path.suffix == ".pkl":
        official = read_official(path)
        return Start(path, official.G.state, official.G_ema.state, official.D.state, None)
    path = snapshot_file(path)
    if path.suffix != ".safetensors":
        raise DataError(f"{path} is no network: give a .safetensors that gan_train wrote, or an official .pkl.")
    state = load_generator(path).state_dict()
    stated = path.parent / LINEAGE
    return Start(path, state, state, None, Lineage.read(stated) if stated.exists() else None)


@torch.no_grad()
def transfer(state: State, network: Generator | Discriminator) -> Transferred:
    """Copies into a network what fits it.

    Where the numbers of classes differ, the label's embedding is the new network's own, and the columns of the first
    mapping layer that read it are zero. The others keep what they do: their layer divides weights by the root of its
    inputs (equalised learning rate), of which there may be more or fewer now.

    Args:
        state: The other network's tensors.
        network: Just built; on any device.
    """
    own = network.state_dict()
    done = Transferred(left=sorted(state.keys() - own.keys()))
    same_classes, z_dim = _classes(state) == _classes(own), _z_dim(own)
    same_latents = z_dim > 0 and z_dim == _z_dim(state)
    for name, target in own.items():
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
    """How many inputs of the first mapping layer are the latent's; the others are the embedded label's."""
    inputs = state[_FIRST].shape[1] if _FIRST in state else 0
    return inputs - (state[_EMBED].shape[0] if _EMBED in state else 0)


def _classes(state: State) -> int:
    return state[_EMBED].shape[1] if _EMBED in state else 0
