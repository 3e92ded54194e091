"""The StyleGAN2 generator (Karras et al. 2020): mapping and synthesis, with the official names of parameters."""

from typing import Any

import torch
from torch import Tensor, nn

from components.core.stylegan2.mapping import MappingNetwork
from components.core.stylegan2.synthesis import SynthesisNetwork


class Generator(nn.Module):
    """Latents and labels to images.

    Args:
        z_dim: Length of a latent.
        c_dim: Length of a label vector; 0 = unconditional.
        w_dim: Length of an intermediate latent.
        img_resolution: Side of the images, pixels, a power of two, at least 4.
        img_channels: 3 for colour, 1 for grey.
        mapping_layers: Depth of the mapping network.
        channel_base: Feature maps at resolution r are channel_base / r.
        channel_max: Largest number of feature maps at any resolution.
        architecture: "skip", "resnet" or "orig".
        num_fp16_res: Number of the highest resolutions that run in reduced precision.
        conv_clamp: Limit of activations; None = none.
        use_noise: True where layers have noise inputs.
        precision: Reduced precision: "float16" (float32 on a CPU) or "bfloat16".

    Attributes:
        num_ws: Number of intermediate latents for one image.
        arguments: Arguments of the constructor.
    """

    def __init__(
        self,
        z_dim: int,
        c_dim: int,
        w_dim: int,
        img_resolution: int,
        img_channels: int = 3,
        *,
        mapping_layers: int = 8,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: str = "skip",
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        use_noise: bool = True,
        precision: str = "float16",
    ) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        synthesis: dict[str, Any] = {
            "channel_base": channel_base,
            "channel_max": channel_max,
            "architecture": architecture,
            "num_fp16_res": num_fp16_res,
            "conv_clamp": conv_clamp,
            "use_noise": use_noise,
            "precision": precision,
        }
        self.arguments: dict[str, Any] = {
            "z_dim": z_dim,
            "c_dim": c_dim,
            "w_dim": w_dim,
            "img_resolution": img_resolution,
            "img_channels": img_channels,
            "mapping_layers": mapping_layers,
            **synthesis,
        }
        self.synthesis = SynthesisNetwork(w_dim, img_resolution, img_channels, **synthesis)
        self.num_ws = self.synthesis.num_ws
        self.mapping = MappingNetwork(z_dim, c_dim, w_dim, self.num_ws, mapping_layers)

    def forward(
        self,
        z: Tensor,
        c: Tensor,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        truncation_centre: Tensor | None = None,
        noise_mode: str = "random",
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Images [N, img_channels, R, R], nominally in [-1, 1], from latents [N, z_dim] and labels [N, c_dim]."""
        ws = self.mapping(
            z,
            c,
            truncation_psi=truncation_psi,
            truncation_cutoff=truncation_cutoff,
            truncation_centre=truncation_centre,
        )
        return self.synthesis(ws, noise_mode=noise_mode, rng=rng)
