"""The augmentation pipe, through which the discriminator sees all images."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from components.core.errors import DataError
from components.core.stylegan2.augment import bilinear
from components.core.stylegan2.augment.bands import apply_filter, band_gains, filter_bank
from components.core.stylegan2.augment.colour import apply_colour, colour_map
from components.core.stylegan2.augment.corruption import cutout_mask, noise_field
from components.core.stylegan2.augment.draws import Draws, Percentile, Random, Source
from components.core.stylegan2.augment.geometry import inverse_map, rotation_chance
from components.core.stylegan2.augment.transforms import (
    COLOUR,
    CUTOUT,
    FILTER,
    GEOMETRY,
    NOISE,
    resolve_multipliers,
    resolve_strengths,
)
from components.core.stylegan2.augment.warp import SYM6, Warp, plan_warp, warp
from components.core.stylegan2.resample import fir_filter


@dataclass(frozen=True)
class Augmentation:
    """Parameters of all augmentations of one batch, on its device and in its dtype; None = that one is off.

    Attributes:
        warp: Maps of pixels.
        colour: Maps of colours [N, C, C + 1].
        taps: Filters [N, f].
        noise: Noise to add [N, C, H, W].
        mask: Factors of cutout [N, 1, H, W].
    """

    warp: Warp | None
    colour: Tensor | None
    taps: Tensor | None
    noise: Tensor | None
    mask: Tensor | None


class AugmentPipe(nn.Module):
    """Augmentations, each applied to each image with probability p times its multiplier (ADA, appendix B).

    Presets are blit (flips, quarter turns, shifts by whole pixels), geom, color, filter, noise, cutout; their unions
    bg, bgc, bgcf, bgcfn and bgcfnc; stain, which is bg with brightness, contrast and saturation but without rotated
    hues and flipped luma, which no staining produces; and each single transform.

    Attributes:
        p: Overall probability, a scalar buffer; values above 1 act as 1.
        Hz_geom: Low-pass filter of the warp [12].
        Hz_fbank: Band-pass filters [4, 43].
    """

    p: Tensor
    Hz_geom: Tensor
    Hz_fbank: Tensor

    def __init__(
        self,
        preset: str = "bgc",
        *,
        multipliers: Mapping[str, float] | None = None,
        strengths: Mapping[str, float] | None = None,
        margin_multiple: int = 1,
    ) -> None:
        """Builds a pipe with p = 0.

        Args:
            preset: Name of a set of transforms, or of a single one.
            multipliers: Multiplier of p by transform, at least 0, in addition to the preset; 0 = off.
            strengths: Strength by transform, see `transforms.STRENGTHS`; {"hue": 0.05} rotates hues by 9° at most.
            margin_multiple: Multiple of pixels by which the warp extends images. It changes nothing but rounding; a
                GPU's allocator and compiled code gain from few different sizes.

        Raises:
            ConfigError: An unknown name, or a number out of range.
        """
        super().__init__()
        self.preset = preset
        self.multipliers = resolve_multipliers(preset, multipliers or {})
        self.strengths = resolve_strengths(strengths or {})
        self.margin_multiple = margin_multiple
        self.register_buffer("p", torch.zeros([]))
        self.register_buffer("Hz_geom", fir_filter(SYM6))
        self.register_buffer("Hz_fbank", filter_bank())
        self._sample = bilinear.sample if bilinear.has_second_derivative() else bilinear.sample_with_adjoint
        self._p_read: tuple[Tensor, int, float] | None = None

    def forward(
        self, img: Tensor, *, debug_percentile: float | None = None, rng: torch.Generator | None = None
    ) -> Tensor:
        """Augments images; differentiable in them twice.

        Args:
            img: Images [N, C, H, W] in [-1, 1], float32 or float64; the result has the same shape and is not clamped.
            debug_percentile: Percentile of every draw, between 0 and 1, with all transforms applied; None = random.
            rng: Generator on the CPU, where parameters are drawn so that no device is waited for; None = PyTorch's
                own.

        Raises:
            DataError: Images that a transform does not support.
        """
        source = Random(rng) if debug_percentile is None else Percentile(debug_percentile)
        return self.augment(img, self.draw(img, source))

    def draw(self, img: Tensor, source: Source) -> Augmentation:
        """Draws parameters for images of this shape, in the order in which they are applied.

        Raises:
            DataError: Images that a transform does not support.
        """
        n, channels, height, width = img.shape
        self._check_images(channels, height, width)
        draws = Draws(source, n, self._probabilities())
        plan = colour = taps = noise = mask = None
        if self._has(*GEOMETRY):
            linear, offset = inverse_map(draws, self.strengths, height, width)
            plan = plan_warp(linear, offset, height, width, multiple=self.margin_multiple).to(img)
        if self._has(*COLOUR):
            colour = colour_map(draws, self.strengths, channels).to(img, non_blocking=True)
        if self._has(FILTER):
            gains = band_gains(draws, self.strengths[FILTER]).to(img, non_blocking=True)
            taps = (gains[:, :, None] * self.Hz_fbank).sum(dim=1)
        if self._has(NOISE):
            noise = noise_field(draws, self.strengths[NOISE], img)
        if self._has(CUTOUT):
            mask = cutout_mask(draws, self.strengths[CUTOUT], height, width).to(img, non_blocking=True)
        return Augmentation(plan, colour, taps, noise, mask)

    def augment(self, img: Tensor, how: Augmentation) -> Tensor:
        """Applies parameters to images: a pure function of the tensors in both."""
        if how.warp is not None:
            img = warp(img, how.warp, self.Hz_geom, self._sample)
        if how.colour is not None:
            img = apply_colour(img, how.colour)
        if how.taps is not None:
            img = apply_filter(img, how.taps)
        if how.noise is not None:
            img = img + how.noise
        return img if how.mask is None else img * how.mask

    def _has(self, *names: str) -> bool:
        return any(name in self.multipliers for name in names)

    def _probabilities(self) -> dict[str, float]:
        p = self._p_on_host()
        probabilities = {name: multiplier * p for name, multiplier in self.multipliers.items()}
        if "rotate" in probabilities:
            chance = rotation_chance(probabilities.pop("rotate"))
            probabilities |= {"prerotation": chance, "postrotation": chance}
        return probabilities

    def _p_on_host(self) -> float:
        """p as a number. It waits for the device only after p has changed, which is rare."""
        if self._p_read is None or self._p_read[0] is not self.p or self._p_read[1] != self.p._version:
            self._p_read = self.p, self.p._version, float(self.p)
        return self._p_read[2]

    def _check_images(self, channels: int, height: int, width: int) -> None:
        if self._has(*COLOUR) and channels not in (1, 3):
            raise DataError(
                f"The images have {channels} channels: augmentation {self.preset!r} changes colours, which needs 1 "
                "or 3; train on grey or RGB images, or with the preset 'bg'."
            )
        half = self.Hz_fbank.shape[1] // 2
        if self._has(FILTER) and min(height, width) <= half:
            raise DataError(
                f"The images are {width} x {height} px: augmentation {self.preset!r} filters them, which needs "
                f"more than {half} px a side; train on larger images, or with the preset 'bgc'."
            )
