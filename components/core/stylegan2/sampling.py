"""Images of a generator: one latent per seed, so that an image does not depend on its batch."""

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.data.images import Pixels
from components.core.errors import ConfigError
from components.core.stylegan2.generator import Generator

_LAST_SEED = 2**32 - 1
_SEEDS = re.compile(r"([0-9]{1,10})(?:-([0-9]{1,10}))?")


def parse_seeds(text: str) -> list[int]:
    """The seeds of `1,2,5-10`, both ends of a range included, in their order and each once.

    Raises:
        ConfigError: Text of another form, a range that runs backwards, or a seed above 2³² - 1.
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        match = _SEEDS.fullmatch(part.strip())
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else -1
        if not first <= last <= _LAST_SEED:
            raise ConfigError(f"{text!r} gives no seeds: write numbers from 0 to {_LAST_SEED} as in 1,2,5-10.")
        seeds |= dict.fromkeys(range(first, last + 1))
    return list(seeds)


def latents(seeds: Iterable[int], z_dim: int) -> npt.NDArray[np.float64]:
    """The official latents [n, z_dim] of seeds (0 to 2³² - 1)."""
    # The official release uses RandomState; another generator would give other images per seed.
    return np.concatenate([np.random.RandomState(seed).randn(1, z_dim) for seed in seeds])


def one_hot(classes: Sequence[int], c_dim: int) -> Tensor:
    """Label vectors [n, c_dim]; empty ones for an unconditional network.

    Raises:
        ConfigError: A class that the network does not have.
    """
    if c_dim == 0:
        return torch.zeros(len(classes), 0)
    indices = torch.as_tensor(list(classes), dtype=torch.long)
    if not ((indices >= 0) & (indices < c_dim)).all():
        raise ConfigError(f"The generator has the classes 0 to {c_dim - 1}, not {sorted(set(indices.tolist()))}.")
    return F.one_hot(indices, c_dim).float()


def check_centres(centres: Tensor | None, G: Generator) -> None:
    """Raises ConfigError where class centres belong to another network."""
    if centres is not None and centres.shape != (G.c_dim, G.w_dim):
        raise ConfigError(
            f"The centres are {list(centres.shape)}, but the generator needs [{G.c_dim}, {G.w_dim}]: use its own."
        )


def to_uint8(images: Tensor) -> Pixels:
    """[N, C, H, W] in [-1, 1] to [N, H, W, 3], truncating as the official generator's PNGs do."""
    pixels = (images * 127.5 + 128).clamp(0, 255).to(torch.uint8)
    return pixels.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).cpu().numpy()


@torch.inference_mode()
def generate_images(
    G: Generator,
    seeds: Sequence[int],
    classes: Sequence[int],
    *,
    psi: float = 1.0,
    centres: Tensor | None = None,
    noise_mode: str = "const",
    batch: int = 32,
    device: str | torch.device = "cpu",
) -> Iterator[Pixels]:
    """Yields one image [H, W, 3] uint8 per seed, in order.

    Args:
        G: Generator; it is moved to `device` and put in evaluation mode.
        seeds: Seed of each image, 0 to 2³² - 1.
        classes: Class of each image; ignored where the generator is unconditional.
        psi: Truncation, 0..1; 1 = none.
        centres: Class centres of the truncation [c_dim, w_dim], from `class_centres`; None = the mean of all w.
        noise_mode: "const" or "none" (an image depends on its seed alone), or "random" (noise seeded by the first
            seed of its batch).
        batch: Images per call of the generator; it changes no image by more than a grey level.
        device: Device of the generator.

    Raises:
        ConfigError: A class that the network does not have, not one class per seed, or centres of another network.
    """
    if len(seeds) != len(classes):
        raise ConfigError(f"There are {len(seeds)} seeds and {len(classes)} classes: give one class per seed.")
    check_centres(centres, G)
    G = G.to(device).eval()
    for start in range(0, len(seeds), batch):
        batch_seeds = list(seeds[start : start + batch])
        z = torch.from_numpy(latents(batch_seeds, G.z_dim)).to(device, torch.float32)  # [n, z_dim]
        c = one_hot(classes[start : start + batch], G.c_dim).to(device)
        centre = None if centres is None else c @ centres.to(c)  # [n, w_dim]
        rng = torch.Generator(device).manual_seed(int(batch_seeds[0]))
        yield from to_uint8(G(z, c, truncation_psi=psi, truncation_centre=centre, noise_mode=noise_mode, rng=rng))
