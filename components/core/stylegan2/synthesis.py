"""The synthesis network of StyleGAN2 (Karras et al. 2020): intermediate latents to images."""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from components.core.stylegan2.layers import (
    GAINS,
    Conv2d,
    FullyConnected,
    activate,
    initial_kernel,
    modulated_conv2d,
    with_power,
)
from components.core.stylegan2.pyramid import ARCHITECTURES, block_dtype, channels, dtype_on, resolutions
from components.core.stylegan2.resample import fir_filter, upsample2d

NOISE_MODES = ("random", "const", "none")


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
        self.weight = nn.Parameter(initial_kernel(outputs, inputs, 3, up=up))
        self._cached: tuple[tuple[int, int, torch.dtype], tuple[Tensor, Tensor]] | None = None
        if use_noise:
            self.noise_strength = nn.Parameter(torch.zeros([]))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("resample_filter", fir_filter())
        if use_noise:
            self.register_buffer("noise_const", torch.randn(resolution, resolution))

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None, gain: float = 1.0) -> Tensor:
        """[N, I, H, W] to [N, O, R, R], with noise [N or 1, 1, R, R] of unit variance."""
        x = modulated_conv2d(
            x,
            self.weight,
            self.affine(w),
            self.bias,
            kernel=self.resample_filter,
            up=self.up,
            noise=None if noise is None else noise * self.noise_strength,
            gain=GAINS["lrelu"] * gain,
            prepared=self._weight_power(x.dtype),
        )
        return activate(x, "lrelu", clamp=None if self.clamp is None else self.clamp * gain)

    def _weight_power(self, dtype: torch.dtype) -> tuple[Tensor, Tensor] | None:
        """`with_power` of the weight, cached in inference: half the time of a single small image."""
        if torch.compiler.is_compiling() or self.training or not torch.is_inference_mode_enabled():
            return None
        if self.weight.is_inference():  # it has no version counter
            return None
        key = (self.weight.data_ptr(), self.weight._version, dtype)
        if self._cached is None or self._cached[0] != key:
            self._cached = key, with_power(self.weight, dtype)
        return self._cached[1]


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
    """One resolution: up to two layers, and the image path.

    Attributes:
        dtype: Data type of the activations, where the device supports it.
        layout: Memory format of the first block's activations; later blocks keep it.
    """

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
        dtype: torch.dtype,
        clamp: float | None,
        use_noise: bool,
    ) -> None:
        super().__init__()
        self.is_first, self.dtype, self.is_resnet = inputs == 0, dtype, architecture == "resnet" and inputs > 0
        self.layout = torch.channels_last  # up to twice as fast as PyTorch's default
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
        self, x: Tensor | None, img: Tensor | None, ws: Tensor, noise: Iterator[Tensor | None]
    ) -> tuple[Tensor, Tensor | None]:
        """Features [N, C, r, r] and the image so far [N, img_channels, r, r], at half this resolution to this one.

        Every layer and torgb reads a w from `ws` [N, ?, w_dim], and every layer a map from `noise`.
        """
        dtype = dtype_on(ws.device, self.dtype)
        w = iter(ws.unbind(dim=1))
        if x is None:
            x = self.const.to(dtype).expand(len(ws), -1, -1, -1).contiguous(memory_format=self.layout)
            x = self.conv1(x, next(w), next(noise))
        elif self.is_resnet:
            x = x.to(dtype)
            skip = self.skip(x, gain=math.sqrt(0.5))
            x = self.conv0(x, next(w), next(noise))
            x = skip + self.conv1(x, next(w), next(noise), gain=math.sqrt(0.5))
        else:
            x = self.conv0(x.to(dtype), next(w), next(noise))
            x = self.conv1(x, next(w), next(noise))
        if img is not None:
            img = upsample2d(img, self.resample_filter)
        if self.has_torgb:
            rgb = self.torgb(x, next(w)).float()
            img = rgb if img is None else img + rgb
        return x, img


class SynthesisNetwork(nn.Module):
    """ws [N, num_ws, w_dim] to images [N, img_channels, R, R]; the arguments are those of `Generator`.

    Attributes:
        blocks: Names of the blocks, from 4 px upwards.
        num_ws: Number of intermediate latents for one image.
    """

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
        precision: str,
        conv_clamp: float | None,
        use_noise: bool,
    ) -> None:
        super().__init__()
        assert architecture in ARCHITECTURES, architecture
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
                dtype=block_dtype(resolution, img_resolution, num_fp16_res, precision),
                clamp=conv_clamp,
                use_noise=use_noise,
            )
            self.add_module(f"b{resolution}", block)
            inputs = outputs
        self.num_ws = 2 * len(self.blocks)  # a layer at 4 px, two at each further resolution, and the last torgb

    def forward(
        self,
        ws: Tensor,
        *,
        noise_mode: str = "random",
        rng: torch.Generator | None = None,
        noise: Sequence[Tensor] | None = None,
    ) -> Tensor:
        """Draws images.

        Args:
            ws: Intermediate latents [N, num_ws, w_dim].
            noise_mode: "random", "const" (the stored noise) or "none".
            rng: Generator of random noise, on the device of `ws`; None = torch's own.
            noise: Noise from `draw_noise`, in place of `noise_mode` and `rng`, which torch.compile does not support.
        """
        assert noise_mode in NOISE_MODES, noise_mode
        ws = ws.float()
        if noise is None and noise_mode == "random":
            noise = self.draw_noise(len(ws), rng)
        elif noise is None and noise_mode == "const":
            noise = [layer.noise_const for layer in self._noisy_layers()]
        remaining = iter(noise) if noise else itertools.repeat(None)
        x: Tensor | None = None
        img: Tensor | None = None
        first = 0
        for name in self.blocks:
            block = cast(SynthesisBlock, self.get_submodule(name))
            # A block's torgb shares its w with the next block's first layer.
            x, img = block(x, img, ws[:, first : first + block.num_conv + 1], remaining)
            first += block.num_conv
        return cast(Tensor, img)

    def draw_noise(self, n: int, rng: torch.Generator | None = None) -> list[Tensor]:
        """Fresh noise for n images: a map [n, 1, r, r] for each layer with noise; `rng` as in `forward`."""
        maps = (layer.noise_const for layer in self._noisy_layers())
        return [torch.randn(n, 1, *const.shape, device=const.device, generator=rng) for const in maps]

    def _noisy_layers(self) -> list[SynthesisLayer]:
        return [layer for layer in self.modules() if isinstance(layer, SynthesisLayer) and layer.use_noise]
