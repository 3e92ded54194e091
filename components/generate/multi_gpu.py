"""A generator and an extractor on each device, which draw and look at batches in turn."""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from torch import Tensor

from components.core.data.archive import Pixels
from components.core.features.extract import Features, to_batches
from components.core.features.extractors import Extractor
from components.core.stylegan2 import Generator
from components.core.stylegan2.sampling import generate_images

_AHEAD = 2  # batches of each device that may wait


@dataclass(frozen=True)
class GeneratorWorker:
    """What one device draws with.

    Attributes:
        G: The generator.
        extractor: What looks at its images.
        centres: Where classes are truncated to, [c_dim, w_dim]; None = the mean of all.
        psi: Truncation; 1 = none.
    """

    G: Generator
    extractor: Extractor
    centres: Tensor | None
    psi: float

    def draw(self, seeds: Sequence[int], index: int) -> "Batch":
        """Images of one class and what the extractor sees in them."""
        kind = [index] * len(seeds)
        drawn = generate_images(
            self.G,
            seeds,
            kind,
            psi=self.psi,
            centres=self.centres,
            batch=len(seeds),
            device=self.extractor.device,
        )
        images = list(drawn)
        stack = next(to_batches(images, len(images)))
        return Batch(list(seeds), images, stack, self.extractor(stack).cpu().numpy())


@dataclass(frozen=True)
class Batch:
    """Images that were drawn at once.

    Attributes:
        seeds: Of their latents.
        images: Pixels [H, W, 3] of each.
        stack: The same as a tensor, uint8 [n, 3, H, W].
        features: [n, d].
    """

    seeds: list[int]
    images: list[Pixels]
    stack: Tensor
    features: Features


class GeneratorPool:
    """Several devices that take batches in turn; what comes back is in order and the same for any number of them.

    with Hands([Hand(G, extractor, centres, psi) for …]) as hands:
        for batch in hands.draw(seeds, index, 32): …
    """

    def __init__(self, hands: Sequence[GeneratorWorker]) -> None:
        self._hands, self._open = hands, ExitStack()

    def __enter__(self) -> "GeneratorPool":
        self._pools = [self._open.enter_context(ThreadPoolExecutor(1)) for _ in self._hands]
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def draw(self, seeds: Sequence[int], index: int, size: int) -> Iterator[Batch]:
        """Batches of one class in the order of their seeds, a few of them ahead of who needs them."""
        waiting: deque[Future[Batch]] = deque()
        for turn, start in enumerate(range(0, len(seeds), size)):
            place = turn % len(self._hands)
            waiting.append(self._pools[place].submit(self._hands[place].draw, seeds[start : start + size], index))
            if len(waiting) >= _AHEAD * len(self._hands):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
