"""Images from a generator: one latent per seed, so that an image does not depend on the batch it is drawn in."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.archive import Pixels
from components.core.errors import ConfigError
from components.core.stylegan2.generator import Generator


def latents(seeds: Iterable[int], z_dim: int) -> npt.NDArray[np.float64]:
    """The official latents [n, z_dim] of seeds (0 to 2³² - 1)."""
    # RandomState is what the official release draws with: another generator would give other images per seed.
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
    noise_mode: str = "const",
    batch: int = 32,
    device: str | torch.device = "cpu",
) -> Iterator[Pixels]:
    """Yields one image [H, W, 3] uint8 per seed, in order.

    Args:
        G: The generator; it is moved to `device` and put in evaluation mode.
        seeds: One per image, 0 to 2³² - 1.
        classes: The class of each; not looked at where the generator is unconditional.
        psi: Truncation; 1 = none.
        noise_mode: "const" or "none" (an image depends on its seed alone), or "random" (noise seeded by the first
            seed of its batch).
        batch: Images drawn at once; it changes no image by more than a grey level.
        device: Where to draw.

    Raises:
        ConfigError: A class that the network does not have, or not one class per seed.
    """
    if len(seeds) != len(classes):
        raise ConfigError(f"There are {len(seeds)} seeds and {len(classes)} classes: give one class per seed.")
    G = G.to(device).eval()
    for start in range(0, len(seeds), batch):
        chosen = list(seeds[start : start + batch])
        z = torch.from_numpy(latents(chosen, G.z_dim)).to(device, torch.float32)  # [n, z_dim]
        c = one_hot(classes[start : start + batch], G.c_dim).to(device)
        rng = torch.Generator(device).manual_seed(int(chosen[0]))
        yield from to_uint8(G(z, c, truncation_psi=psi, noise_mode=noise_mode, rng=rng))
