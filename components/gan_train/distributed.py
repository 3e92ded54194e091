"""The processes of one training: one, or as many as torchrun started."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from components.core.checkpoint.state_file import flatten, unflatten
from components.core.errors import ThyganError, TrainingError
from components.core.runtime.device import pick_device

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes, seen from one of them. Every process calls every method when the others do.

    Attributes:
        rank: Which this is; 0 leads: it alone writes and speaks.
        size: How many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_leader(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over the processes, as a tensor of its own."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces float32 tensors by their mean over the processes, in one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, mean in zip(tensors, (flat / self.size).split([one.numel() for one in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, tensor: Tensor) -> Tensor:
        """Everyone's tensors of one shape, [size, …]."""
        if self.size == 1:
            return tensor[None]
        everyones = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(everyones, tensor)
        return torch.stack(everyones)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set in any process. No GPU is waited for."""
        if self.size == 1:
            return flags
        raised = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(raised, dist.ReduceOp.MAX)
        return tuple(raised.bool().tolist())

    def lead(self, work: Callable[[], Any]) -> Any:
        """What `work` returns in the leader, in all processes; tensors on the CPU.

        Args:
            work: Called by the leader; returns nested dicts, lists and tuples of tensors, numbers and texts.

        Raises:
            ThyganError: In the leader what `work` raised, in the others that it did.
        """
        if self.size == 1:
            return work()
        if self.rank == 0:
            try:
                value = work()
            except ThyganError as error:
                self._send({"error": str(error)})
                raise
            self._send({"value": value})
            return value
        received = self._receive()
        if "error" in received:
            raise TrainingError(f"Process 0 has stopped: {received['error']}")
        return received["value"]

    def _send(self, value: dict[str, Any]) -> None:
        tensors: dict[str, Tensor] = {}
        tree = flatten(value, tensors)
        shapes = [[name, str(one.dtype).removeprefix("torch."), list(one.shape)] for name, one in tensors.items()]
        text = torch.frombuffer(bytearray(json.dumps([tree, shapes]).encode()), dtype=torch.uint8)
        for tensor in (torch.tensor(len(text)), text, *tensors.values()):
            dist.broadcast(tensor, src=0)

    def _receive(self) -> dict[str, Any]:
        length = torch.tensor(0)
        dist.broadcast(length, src=0)
        text = torch.empty(int(length), dtype=torch.uint8)
        dist.broadcast(text, src=0)
        tree, shapes = json.loads(text.numpy().tobytes())
        tensors = {name: torch.empty(shape, dtype=getattr(torch, dtype)) for name, dtype, shape in shapes}
        for tensor in tensors.values():
            dist.broadcast(tensor, src=0)
        received: dict[str, Any] = unflatten(tree, tensors)
        return received


@contextmanager
def init_distributed(device_name: str) -> Iterator[tuple[ProcessGroup, torch.device]]:
    """The team that torchrun's environment names, else a team of one; and this process's device.

    Args:
        device_name: auto, cpu, cuda or cuda:N. Of several processes each takes the GPU of its local rank.

    Raises:
        ConfigError: The device is not there.
    """
    if not all(name in os.environ for name in _VARIABLES) or int(os.environ["WORLD_SIZE"]) == 1:
        yield ProcessGroup(), pick_device(device_name)
        return
    device = pick_device(device_name)
    if device.type == "cuda":
        device = pick_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(device)
    # Small messages between the hosts take the CPU's way, so that asking them does not wait for a GPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()
