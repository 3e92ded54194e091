"""Trainings spread over devices: a process each, and the next training to whoever is free."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue

import torch
import torch.multiprocessing

from components.classifier_cv.training_job import JobResult, TrainingJob, Worker
from components.core.errors import TrainingError

_HERE: list[Worker] = []  # this process's own, in the processes that `trained` starts


def trained(
    work: TrainingJob, pairs: Sequence[tuple[str, int]], devices: Sequence[torch.device]
) -> Iterator[JobResult]:
    """Trains every (arm, seed); yields what each gives, in the order of `pairs`.

    Args:
        work: What they share. Its tiles are shared with other processes through the machine's shared memory.
        pairs: Arm and classifier seed.
        devices: Where; one trains in this process.

    Raises:
        TrainingError: A process was ended from outside.
    """
    if len(devices) == 1 or len(pairs) == 1:
        worker = Worker(work, devices[0])
        yield from (worker.train(*pair) for pair in pairs)
        return
    processes = torch.multiprocessing.get_context("spawn")
    free: Queue[torch.device] = processes.Queue()
    for device in devices:
        free.put(device)
    count = min(len(devices), len(pairs))
    with ProcessPoolExecutor(count, processes, _settle, (work, free, torch.get_num_threads())) as pool:
        waiting: list[Future[JobResult]] = [pool.submit(_train, *pair) for pair in pairs]
        try:
            for one in waiting:
                yield one.result()
        except BrokenProcessPool:
            raise TrainingError(
                f"One of the {count} processes that train was ended from outside, most likely for its memory: give the "
                "stage more, or fewer devices, or a smaller batch. What was finished is taken up again where "
                "checkpoint_uri keeps it."
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _settle(work: TrainingJob, free: "Queue[torch.device]", threads: int) -> None:
    torch.set_num_threads(threads)
    _HERE.append(Worker(work, free.get()))


def _train(name: str, number: int) -> JobResult:
    return _HERE[0].train(name, number)
