"""The StyleGAN2 discriminator, with the official names of parameters."""

import itertools
import math

import torch
from torch import Tensor, nn

from components.core.errors import ConfigError
from components.core.stylegan2.layers import Conv2d, FullyConnected
from components.core.stylegan2.mapping import MappingNetwork
from components.core.stylegan2.pyramid import ARCHITECTURES, block_dtype, channels, dtype_on, resolutions
from components.core.stylegan2.resample import downsample2d, fir_filter


class DiscriminatorBlock(nn.Module):
    """One resolution: two convolutions and a step down by 2.

    Attributes:
        dtype: Data type of the activations, where the device supports it.
        num_layers: Number of convolutions.
    """

    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        img_channels: int,
        *,
        architecture: str,
        is_first: bool,
        freeze_layers: int,
        dtype: torch.dtype,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.architecture, self.dtype = architecture, dtype
        self.register_buffer("resample_filter", fir_filter())
        self.has_fromrgb = is_first or architecture == "skip"
        self.num_layers = 2 + self.has_fromrgb + (architecture == "resnet")
        trainable = (index >= freeze_layers for index in itertools.count())
        if self.has_fromrgb:
            self.fromrgb = Conv2d(img_channels, inputs, 1, activation="lrelu", clamp=clamp, trainable=next(trainable))
        self.conv0 = Conv2d(inputs, inputs, 3, activation="lrelu", clamp=clamp, trainable=next(trainable))
        self.conv1 = Conv2d(inputs, outputs, 3, activation="lrelu", down=2, clamp=clamp, trainable=next(trainable))
        if architecture == "resnet":
            self.skip = Conv2d(inputs, outputs, 1, bias=False, down=2, trainable=next(trainable))

    def forward(self, x: Tensor | None, img: Tensor) -> tuple[Tensor, Tensor]:
        """Features [N, I, r, r] and the image at this resolution to those at half of it."""
        dtype = dtype_on(img.device, self.dtype)
        if self.has_fromrgb:
            rgb = self.fromrgb(img.to(dtype))
            x = rgb if x is None else x.to(dtype) + rgb
            if self.architecture == "skip":
                img = downsample2d(img, self.resample_filter)
        assert x is not None
        x = x.to(dtype)
        if self.architecture != "resnet":
            return self.conv1(self.conv0(x)), img
        skip = self.skip(x, gain=math.sqrt(0.5))
        return skip + self.conv1(self.conv0(x), gain=math.sqrt(0.5)), img


def minibatch_stddev(x: Tensor, group_size: int | None) -> Tensor:
    """Appends one channel: the mean standard deviation within strided groups of the batch [N, C, H, W]."""
    n, c, h, w = x.shape
    group = n if group_size is None else min(group_size, n)
    assert n % group == 0, f"{n} images cannot be grouped by {group}"
    y = x.reshape(group, n // group, c, h, w)
    y = (y.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))  # [N / group]
    return torch.cat([x, y.repeat(group).view(n, 1, 1, 1).expand(n, 1, h, w)], dim=1)


class DiscriminatorEpilogue(nn.Module):
    """Features [N, C, 4, 4] to [N, outputs]; always float32."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        img_channels: int,
        *,
        architecture: str,
        mbstd_group_size: int | None,
        clamp: float | None,
    ) -> None:
        super().__init__()
        self.mbstd_group_size, self.has_fromrgb = mbstd_group_size, architecture == "skip"
        if self.has_fromrgb:
            self.fromrgb = Conv2d(img_channels, inputs, 1, activation="lrelu", clamp=clamp)
        self.conv = Conv2d(inputs + 1, inputs, 3, activation="lrelu", clamp=clamp)
        self.fc = FullyConnected(inputs * 16, inputs, activation="lrelu")
        self.out = FullyConnected(inputs, outputs)

    def forward(self, x: Tensor, img: Tensor) -> Tensor:
        """Scores of the features; the architecture "skip" adds the image."""
        x = x.float()
        if self.has_fromrgb:
            x = x + self.fromrgb(img)
        x = self.conv(minibatch_stddev(x, self.mbstd_group_size))
        return self.out(self.fc(x.flatten(1)))


class Discriminator(nn.Module):
    """Images and labels to logits.

    Args:
        c_dim: Length of a label vector; 0 = unconditional.
        img_resolution: Side of the images, pixels, a power of two, at least 8.
        img_channels: 3 for colour, 1 for grey.
        channel_base: Feature maps at resolution r are channel_base / r.
        channel_max: Largest number of feature maps at any resolution.
        architecture: "resnet", "orig" or "skip".
        mbstd_group_size: Images whose spread is measured together; None = the whole batch.
        num_fp16_res: Number of the highest resolutions that run in reduced precision.
        conv_clamp: Limit of activations; None = none.
        mapping_layers: Layers of the labels' mapping network; 8 in the official release whatever the generator's
            preset, and fewer may help where conditional runs collapse.
        freeze_layers: Number of convolutions, from the highest resolution on, that are not trained (Freeze-D, Mo et
            al. 2020).
        precision: Reduced precision: "float16" (float32 on a CPU) or "bfloat16".

    Attributes:
        layout: Memory format of the activations.

    Raises:
        ConfigError: freeze_layers is larger than the number of convolutions.
    """

    def __init__(
        self,
        c_dim: int,
        img_resolution: int,
        img_channels: int = 3,
        *,
        channel_base: int = 32768,
        channel_max: int = 512,
        architecture: str = "resnet",
        mbstd_group_size: int | None = 4,
        num_fp16_res: int = 0,
        conv_clamp: float | None = None,
        mapping_layers: int = 8,
        freeze_layers: int = 0,
        precision: str = "float16",
    ) -> None:
        super().__init__()
        assert architecture in ARCHITECTURES, architecture
        assert img_resolution >= 8, f"{img_resolution} px is less than 8"
        self.c_dim, self.img_resolution, self.img_channels = c_dim, img_resolution, img_channels
        self.layout = torch.channels_last  # up to twice as fast as PyTorch's default
        descending = resolutions(img_resolution)[:0:-1]
        self.blocks = [f"b{resolution}" for resolution in descending]
        to_freeze = freeze_layers
        for resolution in descending:
            block = DiscriminatorBlock(
                channels(resolution, channel_base, channel_max),
                channels(resolution // 2, channel_base, channel_max),
                img_channels,
                architecture=architecture,
                is_first=resolution == img_resolution,
                freeze_layers=to_freeze,
                dtype=block_dtype(resolution, img_resolution, num_fp16_res, precision),
                clamp=conv_clamp,
            )
            self.add_module(f"b{resolution}", block)
            to_freeze = max(to_freeze - block.num_layers, 0)
        if to_freeze > 0:
            raise ConfigError(
                f"freeze_layers is {freeze_layers}: at {img_resolution} px the discriminator has "
                f"{freeze_layers - to_freeze} convolutions above 4 px, which is the most."
            )
        last = channels(4, channel_base, channel_max)
        if c_dim > 0:
            self.mapping = MappingNetwork(0, c_dim, last, None, mapping_layers)
        self.b4 = DiscriminatorEpilogue(
            last,
            last if c_dim > 0 else 1,
            img_channels,
            architecture=architecture,
            mbstd_group_size=mbstd_group_size,
            clamp=conv_clamp,
        )

    def forward(self, img: Tensor, c: Tensor) -> Tensor:
        """Logits [N, 1] of images [N, img_channels, R, R] under labels [N, c_dim]."""
        img = img.float().contiguous(memory_format=self.layout)
        x: Tensor | None = None
        small = img
        for name in self.blocks:
            x, small = self.get_submodule(name)(x, small)
        x = self.b4(x, small)
        if self.c_dim == 0:
            return x
        cmap = self.mapping(None, c)  # [N, ch(4)]
        return (x * cmap).sum(dim=1, keepdim=True) / math.sqrt(cmap.shape[1])
