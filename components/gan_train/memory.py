"""An estimate of a training's peak memory, made before anything is allocated.

One iteration runs on PyTorch's meta device, whose tensors have shapes and no values, and every storage is counted from
its creation to its release. The workspace of convolutions and the gaps between an allocator's blocks are not counted:
`OVERHEAD` stands for them.
"""

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from components.core.errors import ConfigError
from components.core.stylegan2 import AugmentPipe
from components.core.stylegan2.augment.draws import Random
from components.gan_train import losses
from components.gan_train.config import TrainingConfig, networks, with_micro_batch
from components.gan_train.losses import PATH_LENGTH_SHRINK, Augmented, Latents, View, no_augmentation

OVERHEAD = 1.15
GIB = 2**30
_META = torch.device("meta")


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are created inside the block.

    Attributes:
        now: Bytes that are alive.
        peak: Largest number of bytes alive so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operation and counts the storages of its results."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size_bytes: int) -> None:
        self._known.discard(key)
        self.now -= size_bytes


class MemoryEstimate:
    """The peak memory of a process, as a function of its micro-batch.

    Attributes:
        parameters: Numbers of parameters of G and of D.
    """

    def __init__(self, config: TrainingConfig, c_dim: int, resolution: int, data_bytes: int = 0) -> None:
        """Counts two small micro-batches; the peak is linear in their size.

        Args:
            config: Configuration of the training.
            c_dim: Number of classes.
            resolution: Side of the tiles, pixels.
            data_bytes: Size of the tiles if they are in the same memory, bytes.
        """
        with _META:
            G, D = networks(config, c_dim, resolution)
        self.parameters = tuple(sum(parameter.numel() for parameter in network.parameters()) for network in (G, D))
        states = [sum(value.nbytes for value in network.state_dict().values()) for network in (G, D)]
        constant = 3 * sum(states) + states[0] + data_bytes  # Adam has two moments of each, and G an average
        small = max(config.mbstd_group, PATH_LENGTH_SHRINK)
        peaks = [max(_peaks(config, G, D, c_dim, resolution, n)) for n in (small, 2 * small)]
        self._slope = (peaks[1] - peaks[0]) / small
        self._fixed = constant + peaks[0] - self._slope * small

    def gb(self, batch_gpu: int) -> float:
        """Peak memory of a process at a micro-batch, GiB."""
        return (self._fixed + self._slope * batch_gpu) * OVERHEAD / GIB

    def fit(self, config: TrainingConfig, memory_gb: float, processes: int) -> TrainingConfig:
        """The configuration with the largest micro-batch that fits.

        Args:
            config: Configuration of the training.
            memory_gb: Memory of a process, GiB.
            processes: Number of processes of the training.

        Raises:
            ConfigError: Not even the smallest micro-batch fits.
        """
        size = config.batch // processes
        while size > 0:
            candidate = with_micro_batch(config, None, processes, limit=size)
            if self.gb(candidate.batch_gpu) <= memory_gb:
                return candidate
            if candidate.batch_gpu > size:
                break
            size = candidate.batch_gpu - 1
        raise ConfigError(
            f"memory_gb is {memory_gb:g}: the smallest micro-batch, {candidate.batch_gpu}, takes about "
            f"{self.gb(candidate.batch_gpu):.1f}; give more memory, or a smaller channel_base."
        )


def _peaks(config: TrainingConfig, G: Any, D: Any, c_dim: int, resolution: int, n: int) -> list[int]:
    """Bytes that each phase adds to the networks' and optimizers', gradients included, with n images."""
    images, c = torch.empty(n, 3, resolution, resolution, device=_META), torch.empty(n, c_dim, device=_META)
    view = no_augmentation if config.augment == "noaug" else _view(config, images)
    half = max(n // PATH_LENGTH_SHRINK, 1)

    def latents(count: int) -> Latents:
        z = torch.empty(count, G.z_dim, device=_META)
        return Latents(z, c[:count], z, G.num_ws // 2)

    phases: list[tuple[Any, Any, Callable[[], Tensor]]] = [
        (G, D, lambda: losses.generator_loss(G, D, latents(n), view)[0]),
        (G, D, lambda: losses.path_lengths(G, latents(half), images[:half]).mean()),
        (D, G, lambda: losses.fake_loss(G, D, latents(n), view)[0]),
        (D, G, lambda: losses.r1_penalty(D, images, c, view)[0].mean()),
    ]
    peaks = []
    for trained, other, loss in phases:
        trained.requires_grad_(True)
        other.requires_grad_(False)
        trained.zero_grad(set_to_none=True)
        with LiveBytes() as live:
            loss().backward()
        peaks.append(live.peak)
        trained.zero_grad(set_to_none=True)
    return peaks


def _view(config: TrainingConfig, images: Tensor) -> View:
    pipe = AugmentPipe(config.augment_pipe).to(_META)
    pipe.p = torch.ones([])  # the host reads it
    return Augmented(pipe, pipe.draw(images, Random(torch.Generator().manual_seed(config.seed))))
