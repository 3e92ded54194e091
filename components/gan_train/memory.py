"""How much memory a training takes, counted before anything is allocated.

One iteration is run on PyTorch's meta device, whose tensors have shapes and no values, and every storage is counted
from its birth to its death. What a convolution needs beside its operands and what an allocator leaves between blocks
is not seen: `OVERHEAD` stands for it.
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
from components.gan_train.losses import PATH_LENGTH_SHRINK, Augmented, Latents, View, unchanged

OVERHEAD = 1.15
GIB = 2**30
_META = torch.device("meta")


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of tensors that are made inside the block.

    Attributes:
        now: Alive.
        peak: The most that were.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Runs an operation and notes the storages of its results."""
        result = func(*args, **(kwargs or {}))
        for tensor in tree_iter(result):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
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


class Estimate:
    """The peak memory of a process, as a function of its micro-batch.

    Attributes:
        parameters: Of G and D.
    """

    def __init__(self, settings: TrainingConfig, c_dim: int, resolution: int, data_bytes: int = 0) -> None:
        """Counts two small micro-batches; the peak is linear in their size.

        Args:
            settings: The training's.
            c_dim: Classes.
            resolution: In pixels.
            data_bytes: Of tiles that lie in the same memory.
        """
        with _META:
            G, D = networks(settings, c_dim, resolution)
        self.parameters = tuple(sum(one.numel() for one in network.parameters()) for network in (G, D))
        states = [sum(one.nbytes for one in network.state_dict().values()) for network in (G, D)]
        held = 3 * sum(states) + states[0] + data_bytes  # Adam holds two moments of each, and G has an average
        small = max(settings.mbstd_group, PATH_LENGTH_SHRINK)
        peaks = [max(_peaks(settings, G, D, c_dim, resolution, n)) for n in (small, 2 * small)]
        self._slope = (peaks[1] - peaks[0]) / small
        self._fixed = held + peaks[0] - self._slope * small

    def gb(self, batch_gpu: int) -> float:
        """The peak in GiB."""
        return (self._fixed + self._slope * batch_gpu) * OVERHEAD / GIB

    def fit(self, settings: TrainingConfig, memory_gb: float, processes: int) -> TrainingConfig:
        """The settings with the largest micro-batch that stays within so many GiB.

        Raises:
            ConfigError: Not even the smallest does.
        """
        size = settings.batch // processes
        while size > 0:
            found = with_micro_batch(settings, 0, processes, most=size)
            if self.gb(found.batch_gpu) <= memory_gb:
                return found
            if found.batch_gpu > size:
                break
            size = found.batch_gpu - 1
        raise ConfigError(
            f"memory_gb is {memory_gb:g}: the smallest micro-batch, {found.batch_gpu}, takes about "
            f"{self.gb(found.batch_gpu):.1f}, so give more, or narrower networks by channel_base."
        )


def _peaks(settings: TrainingConfig, G: Any, D: Any, c_dim: int, resolution: int, n: int) -> list[int]:
    """Bytes that each phase adds to what is held, gradients included, with n images."""
    images, c = torch.empty(n, 3, resolution, resolution, device=_META), torch.empty(n, c_dim, device=_META)
    view = unchanged if settings.augment == "noaug" else _view(settings, images)
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
    found = []
    for trained, other, loss in phases:
        trained.requires_grad_(True)
        other.requires_grad_(False)
        trained.zero_grad(set_to_none=True)
        with LiveBytes() as live:
            loss().backward()
        found.append(live.peak)
        trained.zero_grad(set_to_none=True)
    return found


def _view(settings: TrainingConfig, images: Tensor) -> View:
    pipe = AugmentPipe(settings.augment_pipe).to(_META)
    pipe.p = torch.ones([])  # is read by the host
    return Augmented(pipe, pipe.draw(images, Random(torch.Generator().manual_seed(settings.seed))))
