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
    """All processes of a training, seen from one of them. Every process calls every method when the others do.

    Attributes:
        rank: Rank of this process; rank 0 alone writes files and log lines.
        size: Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_rank0(self) -> bool:
        """True in the process that writes."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum over the processes, in a new tensor."""
        if self.size == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replaces float32 tensors by their mean over the processes, in one all-reduce."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, mean in zip(tensors, (flat / self.size).split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def gather(self, tensor: Tensor) -> Tensor:
        """The tensors of all processes, which have one shape, as [size, …]."""
        if self.size == 1:
            return tensor[None]
        tensors = [torch.empty_like(tensor) for _ in range(self.size)]
        dist.all_gather(tensors, tensor)
        return torch.stack(tensors)

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """For each flag, whether it is set in any process. Does not wait for a GPU."""
        if self.size == 1:
            return flags
        total = torch.tensor(flags, dtype=torch.uint8)
        dist.all_reduce(total, dist.ReduceOp.MAX)
        return tuple(total.bool().tolist())

    def run_on_rank0(self, function: Callable[[], Any]) -> Any:
        """Calls a function in rank 0 and returns its result in all processes; tensors on the CPU.

        Args:
            function: Function without arguments; returns nested dicts, lists, tuples of tensors, numbers and strings.

        Raises:
            ThyganError: The error of `function` in rank 0, and a TrainingError about it in the others.
        """
        if self.size == 1:
            return function()
        if self.rank == 0:
            try:
                value = function()
            except ThyganError as error:
                self._send({"error": str(error)})
                raise
            self._send({"value": value})
            return value
        received = self._receive()
        if "error" in received:
            raise TrainingError(f"Process 0 stopped: {received['error']}")
        return received["value"]

    def _send(self, message: dict[str, Any]) -> None:
        tensors: dict[str, Tensor] = {}
        tree = flatten(message, tensors)
        shapes = [[name, str(value.dtype).removeprefix("torch."), list(value.shape)] for name, value in tensors.items()]
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
    """The processes that torchrun started, or this one alone; and this process's device.

    Args:
        device_name: auto, cpu, cuda or cuda:N. With several processes, each takes the GPU of its local rank.

    Raises:
        ConfigError: This machine does not have the device.
    """
    if not all(name in os.environ for name in _VARIABLES) or int(os.environ["WORLD_SIZE"]) == 1:
        yield ProcessGroup(), pick_device(device_name)
        return
    device = pick_device(device_name)
    if device.type == "cuda":
        device = pick_device(f"cuda:{os.environ.get('LOCAL_RANK', '0')}")
        torch.cuda.set_device(device)
    # Small messages between the hosts go through gloo, so that they do not wait for a GPU.
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(dist.get_rank(), dist.get_world_size()), device
    finally:
        dist.destroy_process_group()
