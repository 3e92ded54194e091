"""The StyleGAN2 generator (Karras et al. 2020): mapping and synthesis, with the official names of parameters."""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn

from components.core.stylegan2.layers import GAINS, Conv2d, FullyConnected, activate, modulated_conv2d
from components.core.stylegan2.mapping import MappingNetwork
from components.core.stylegan2.resample import fir_filter, upsample2d

ARCHITECTURES = ("skip", "resnet", "orig")
NOISE_MODES = ("random", "const", "none")


def resolutions(img_resolution: int) -> list[int]:
    """4, 8, …, img_resolution."""
    return [2**power for power in range(2, int(math.log2(img_resolution)) + 1)]


def channels(resolution: int, channel_base: int, channel_max: int) -> int:
    """Feature maps at a resolution."""
    return min(channel_base // resolution, channel_max)


def runs_in_fp16(resolution: int, img_resolution: int, num_fp16_res: int) -> bool:
    """Whether a block is one of the `num_fp16_res` highest resolutions; those below 8 px never are."""
    return num_fp16_res > 0 and resolution >= max(2 * img_resolution // 2**num_fp16_res, 8)


def block_dtype(fp16: bool, device: torch.device) -> torch.dtype:
    """float16 where the block wants it and the device is made for it."""
    return torch.float16 if fp16 and device.type == "cuda" else torch.float32


class SynthesisLayer(nn.Module):
    """A demodulated 3 x 3 convolution with noise, bias and leaky ReLU."""

    resample_filter: Tensor
    noise_const: Tensor

    def __init__(
        self, inputs: int, outputs: int, w_dim: int, resolution: int, up: int, clamp: float | None, use_noise: bool
    ) -> None:
        super().__init__()
        self.resolution, self.up, self.clamp, self.use_noise = resolution, up, clamp, use_noise
        self.affine = FullyConnected(w_dim, inputs, bias_init=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        if use_noise:
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("resample_filter", fir_filter())
        if use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(
        self, x: Tensor, w: Tensor, noise_mode: str, rng: torch.Generator | None = None, gain: float = 1.0
    ) -> Tensor:
        """[N, I, H, W] to [N, O, R, R]."""
        x = modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            self.bias,
            kernel=self.resample_filter,
            up=self.up,
            noise=self._noise(len(x), x.device, noise_mode, rng),
            gain=GAINS["lrelu"] * gain,
        )
        return activate(x, "lrelu", clamp=None if self.clamp is None else self.clamp * gain)

    def _noise(self, n: int, device: torch.device, mode: str, rng: torch.Generator | None) -> Tensor | None:
        if not self.use_noise or mode == "none":
            return None
        if mode == "const":
            return self.noise_const * self.noise_strength
        shape = (n, 1, self.resolution, self.resolution)
        return torch.randn(shape, device=device, generator=rng) * self.noise_strength


class ToRGB(nn.Module):
    """A modulated 1 x 1 convolution without demodulation, to image channels."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, clamp: float | None) -> None:
        super().__init__()
        self.clamp = clamp
        self.affine = FullyConnected(w_dim, inputs, bias_init=1)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_gain = 1 / math.sqrt(inputs)

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """[N, I, R, R] to [N, img_channels, R, R]."""
        styles = self.affine(w) * self.weight_gain
        x = modulated_conv2d(x, self.weight, styles, self.bias, kernel=self.weight, demodulate=False)
        return activate(x, "linear", clamp=self.clamp)


class SynthesisBlock(nn.Module):
    """One resolution: up to two layers, and the image path."""

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        w_dim: int,
        resolution: int,
        img_channels: int,
        *,
        architecture: str,
        is_last: bool,
        fp16: bool,
        clamp: float | None,
        use_noise: bool,
    ) -> None:
        super().__init__()
        self.is_first, self.fp16, self.is_resnet = inputs == 0, fp16, architecture == "resnet" and inputs > 0
        self.has_torgb = is_last or architecture == "skip"
        self.num_conv = 1 if self.is_first else 2
        self.register_buffer("resample_filter", fir_filter())
        if self.is_first:
            self.const = nn.Parameter(torch.randn(outputs, resolution, resolution))
        else:
            self.conv0 = SynthesisLayer(inputs, outputs, w_dim, resolution, 2, clamp, use_noise)
        self.conv1 = SynthesisLayer(outputs, outputs, w_dim, resolution, 1, clamp, use_noise)
        if self.has_torgb:
            self.torgb = ToRGB(outputs, img_channels, w_dim, clamp)
        if self.is_resnet:
            self.skip = Conv2d(inputs, outputs, 1, bias=False, up=2)

    def forward(
        self, x: Tensor | None, img: Tensor | None, ws: Tensor, noise_mode: str, rng: torch.Generator | None
    ) -> tuple[Tensor, Tensor | None]:
        """Takes and returns features [N, C, r, r] and the image so far [N, img_channels, r, r]."""
        dtype = block_dtype(self.fp16, ws.device)
        w = iter(ws.unbind(dim=1))
        if x is None:
            x = self.const.to(dtype).expand(len(ws), -1, -1, -1).contiguous(memory_format=torch.channels_last)
            x = self.conv1(x, next(w), noise_mode, rng)
        elif self.is_resnet:
            x = x.to(dtype)
            skip = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv0(x, next(w), noise_mode, rng)
            x = skip + self.conv1(x, next(w), noise_mode, rng, gain=math.sqrt(0.5))
        else:
            x = self.conv0(x.to(dtype), next(w), noise_mode, rng)
            x = self.conv1(x, next(w), noise_mode, rng)
        if img is not None:
            img = upsample2d(img, self.resample_filter)
        if self.has_torgb:
            rgb = self.torgb(x, next(w)).float()
            img = rgb if img is None else img + rgb
        return x, img


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] to images [N, img_channels, R, R]."""

    def __init__(
        self,
        w_dim: int,
        img_resolution: int,
        img_channels: int,
        *,
        channel_base: int,
        channel_max: int,
        architecture: str,
        num_fp16_res: int,
        conv_clamp: float | None,
        use_noise: bool,
    ) -> None:
        super().__init__()
        self.blocks = [f"b{resolution}" for resolution in resolutions(img_resolution)]
        inputs = 0
        for resolution in resolutions(img_resolution):
            outputs = channels(resolution, channel_base, channel_max)
            block = SynthesisBlock(
                inputs,
                outputs,
                w_dim,
                resolution,
                img_channels,
                architecture=architecture,
                is_last=resolution == img_resolution,
                fp16=runs_in_fp16(resolution, img_resolution, num_fp16_res),
                clamp=conv_clamp,
                use_noise=use_noise,
            )
            self.add_module(f"b{resolution}", block)
            inputs = outputs
        self.num_ws = 2 * len(self.blocks)  # a layer at 4 px, two at each further resolution, and the last torgb

    def forward(self, ws: Tensor, *, noise_mode: str = "random", rng: torch.Generator | None = None) -> Tensor:
        """Draws images.

        Args:
            ws: [N, num_ws, w_dim].
            noise_mode: "random", "const" (the stored noise) or "none".
            rng: Where random noise comes from, on the device of `ws`; None = torch's own.
        """
        assert noise_mode in NOISE_MODES, noise_mode
        ws = ws.float()
        x: Tensor | None = None
        img: Tensor | None = None
        first = 0
        for name in self.blocks:
            block = cast(SynthesisBlock, self.get_submodule(name))
            # A block's torgb shares its w with the next block's first layer.
            x, img = block(x, img, ws[:, first : first + block.num_conv + 1], noise_mode, rng)
            first += block.num_conv
        return cast(Tensor, img)


class Generator(nn.Module):
    """Latents and labels to images.

    Args:
        z_dim: Length of a latent.
        c_dim: Length of a label vector; 0 = unconditional.
        w_dim: Length of an intermediate latent.
        img_resolution: Side of the images in pixels, a power of two from 4 on.
        img_channels: 3 for colour.
        mapping_layers: Depth of the mapping network.
        channel_base: Feature maps at resolution r are channel_base / r …
        channel_max: … and at most this many.
        architecture: "skip", "resnet" or "orig".
        num_fp16_res: How many of the highest resolutions run in float16 on a GPU.
        conv_clamp: Limit of activations; None = none.
        use_noise: Whether layers have noise inputs.

    Attributes:
        num_ws: Intermediate latents that one image takes.
        arguments: The constructor's arguments, enough to build it again.
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
    ) -> None:
        super().__init__()
        assert architecture in ARCHITECTURES, architecture
        self.z_dim, self.c_dim, self.w_dim = z_dim, c_dim, w_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        synthesis: dict[str, Any] = {
            "channel_base": channel_base,
            "channel_max": channel_max,
            "architecture": architecture,
            "num_fp16_res": num_fp16_res,
            "conv_clamp": conv_clamp,
            "use_noise": use_noise,
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
        noise_mode: str = "random",
        rng: torch.Generator | None = None,
    ) -> Tensor:
        """Images [N, img_channels, R, R], nominally in [-1, 1], from latents [N, z_dim] and labels [N, c_dim]."""
        ws = self.mapping(z, c, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
        return self.synthesis(ws, noise_mode=noise_mode, rng=rng)
