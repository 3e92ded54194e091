"""Trainings on several devices: one process each, and the next training goes to whichever is free."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue

import torch
import torch.multiprocessing

from components.classifier_cv.training_job import ClassifierTrainer, JobResult, TrainingJob
from components.core.errors import TrainingError

_TRAINERS: list[ClassifierTrainer] = []  # this process's, in the processes of the pool


def train_on_devices(
    job: TrainingJob, pairs: Sequence[tuple[str, int]], devices: Sequence[torch.device]
) -> Iterator[JobResult]:
    """Trains every (arm, seed) and yields the results in the order of `pairs`.

    Args:
        job: Inputs and options; its tiles reach other processes through shared memory.
        pairs: Arm and classifier seed of each training.
        devices: Devices, one training each at a time; a single one trains in this process.

    Raises:
        TrainingError: A process was killed.
    """
    if len(devices) == 1 or len(pairs) == 1:
        trainer = ClassifierTrainer(job, devices[0])
        yield from (trainer.train(*pair) for pair in pairs)
        return
    processes = torch.multiprocessing.get_context("spawn")
    free_devices: Queue[torch.device] = processes.Queue()
    for device in devices:
        free_devices.put(device)
    count = min(len(devices), len(pairs))
    with ProcessPoolExecutor(count, processes, _start_process, (job, free_devices, torch.get_num_threads())) as pool:
        futures: list[Future[JobResult]] = [pool.submit(_train, *pair) for pair in pairs]
        try:
            for future in futures:
                yield future.result()
        except BrokenProcessPool:
            raise TrainingError(
                f"One of the {count} training processes was killed, most likely because memory ran out: give the stage "
                "more memory, fewer devices or a smaller batch. With checkpoint_uri, finished trainings are not "
                "repeated."
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _start_process(job: TrainingJob, free_devices: "Queue[torch.device]", threads: int) -> None:
    torch.set_num_threads(threads)
    _TRAINERS.append(ClassifierTrainer(job, free_devices.get()))


def _train(arm: str, seed: int) -> JobResult:
    return _TRAINERS[0].train(arm, seed)
