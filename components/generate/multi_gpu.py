"""Drawing images on several devices at once: a generator and a feature network on each."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor

from components.core.data.images import Pixels
from components.core.features.extract import Features, to_batches
from components.core.features.extractors import Extractor
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import generate_images

_QUEUED_BATCHES = 2  # per device


@dataclass(frozen=True)
class GeneratedBatch:
    """Images that were drawn in one pass.

    Attributes:
        seeds: Latent seed of each image.
        images: Pixels [H, W, 3] of each image.
        stack: The same images as a tensor, uint8 [n, 3, H, W].
        features: Their features, [n, d].
    """

    seeds: list[int]
    images: list[Pixels]
    stack: Tensor
    features: Features


@dataclass(frozen=True)
class GeneratorWorker:
    """The networks of one device.

    Attributes:
        G: The generator.
        extractor: Feature network.
        centres: Class centres to truncate towards, [c_dim, w_dim]; None = the mean of all classes.
        psi: Truncation, 0..1; 1 = none.
    """

    G: Generator
    extractor: Extractor
    centres: Tensor | None
    psi: float

    def draw(self, seeds: Sequence[int], index: int) -> GeneratedBatch:
        """Images of one class, with their features."""
        stream = generate_images(
            self.G,
            seeds,
            [index] * len(seeds),
            psi=self.psi,
            centres=self.centres,
            batch=len(seeds),
            device=self.extractor.device,
        )
        images = list(stream)
        stack = next(to_batches(images, len(images)))
        return GeneratedBatch(list(seeds), images, stack, self.extractor(stack).cpu().numpy())


class GeneratorPool:
    """Several devices that draw batches in turn; the result is in order, and the same for any number of devices.

    with GeneratorPool([GeneratorWorker(G, extractor, centres, psi) for …]) as pool:
        for batch in pool.draw(seeds, index, 32): …
    """

    def __init__(self, workers: Sequence[GeneratorWorker]) -> None:
        self._workers, self._executors = workers, list[ThreadPoolExecutor]()
        self._stack = ExitStack()

    def __enter__(self) -> "GeneratorPool":
        self._executors = [self._stack.enter_context(ThreadPoolExecutor(1)) for _ in self._workers]
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def draw(self, seeds: Sequence[int], index: int, batch: int) -> Iterator[GeneratedBatch]:
        """Batches of one class in the order of their seeds; a few are drawn ahead.

        Args:
            seeds: Latent seeds.
            index: Class index.
            batch: Images per pass.
        """
        waiting: deque[Future[GeneratedBatch]] = deque()
        for turn, start in enumerate(range(0, len(seeds), batch)):
            number = turn % len(self._workers)
            task = self._executors[number].submit(self._workers[number].draw, seeds[start : start + batch], index)
            waiting.append(task)
            if len(waiting) >= _QUEUED_BATCHES * len(self._workers):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
