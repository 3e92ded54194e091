"""The layers of both networks.

All layers have an equalised learning rate (Karras et al. 2018, §4.1): parameters are stored with unit standard
deviation and scaled when they are used. Gains are multiplied into weights and biases, which are small, not into
activations.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.core.stylegan2.resample import downsample2d, fir_filter, upfirdn2d, upsample2d

LRELU_SLOPE = 0.2
GAINS = {"linear": 1.0, "lrelu": math.sqrt(2)}


def initial_kernel(outputs: int, inputs: int, size: int, *, up: int = 1) -> Tensor:
    """Standard normal weights [O, I, k, k], in the memory order of a channels_last convolution, which saves a copy.

    A layer that upsamples is a transposed convolution, which reads them by input.
    """
    weight = torch.randn(outputs, inputs, size, size)
    if up == 1:
        return weight.contiguous(memory_format=torch.channels_last)
    return weight.transpose(0, 1).contiguous(memory_format=torch.channels_last).transpose(0, 1)


def activate(x: Tensor, activation: str, *, gain: float = 1.0, clamp: float | None = None) -> Tensor:
    """clamp(gain · activation(x)), the clamp symmetric; it may overwrite `x`."""
    if activation == "lrelu":
        x = F.leaky_relu_(x, LRELU_SLOPE)
    if gain != 1.0:
        x = x * gain
    return x if clamp is None else x.clamp(-clamp, clamp)


def normalize(x: Tensor) -> Tensor:
    """Rows [N, C] scaled to unit mean square."""
    return x * (x.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()


def conv2d_resample(
    x: Tensor, weight: Tensor, bias: Tensor | None = None, *, kernel: Tensor, up: int = 1, down: int = 1
) -> Tensor:
    """A "same" convolution with weight [O, I, k, k], and with a resampling by `up` or `down` through the FIR `kernel`.

    With `up` the stored weight is the kernel of a true convolution, as a transposed convolution needs it.
    """
    size = weight.shape[-1]
    if up == 1 and down == 1:
        return F.conv2d(x, weight, bias, padding=size // 2)
    if size == 1:  # a pointwise convolution commutes with the filter, so it runs on fewer samples
        if down > 1:
            return F.conv2d(downsample2d(x, kernel, down), weight, bias)
        x = upsample2d(F.conv2d(x, weight), kernel, up)
        return x if bias is None else x + bias.view(-1, 1, 1)
    taps, half = kernel.shape[-1], size // 2
    if down > 1:
        before, after = (taps - down + 1) // 2 + half, (taps - down) // 2 + half
        x = upfirdn2d(x, kernel, padding=(before, after, before, after))
        return F.conv2d(x, weight, bias, stride=down)
    x = F.conv_transpose2d(x, weight.transpose(0, 1), stride=up)  # [N, O, 2 H + 1, 2 W + 1]
    before, after = (taps + up - 1) // 2 - half, (taps - up) // 2 - half + up - 1
    x = upfirdn2d(x, kernel, padding=(before, after, before, after), gain=up * up)
    return x if bias is None else x + bias.view(-1, 1, 1)


def with_power(weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Weights [O, I, k, k] in `dtype`, and their power [O, I] over the k x k taps, for demodulation."""
    if dtype == torch.float16:  # keeps products in range; demodulation removes the factor
        weight = weight / (weight.abs().amax(dim=(1, 2, 3), keepdim=True) * math.sqrt(weight[0].numel()))
    return weight.to(dtype), weight.square().sum(dim=(2, 3))


def modulated_conv2d(
    x: Tensor,
    weight: Tensor,
    styles: Tensor,
    bias: Tensor,
    *,
    kernel: Tensor,
    up: int = 1,
    demodulate: bool = True,
    noise: Tensor | None = None,
    gain: float = 1.0,
    prepared: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """gain · (modulated convolution + noise + bias); StyleGAN2, equations 1 and 3.

    The activations are scaled before and after one convolution that all samples share, which is faster for a batch than
    a convolution with separate weights per sample.

    Args:
        x: Activations [N, I, H, W].
        weight: Weights [O, I, k, k] of unit variance.
        styles: Styles [N, I].
        bias: Biases [O].
        kernel: FIR filter of the upsampling.
        up: Upsampling factor, 1 or 2.
        demodulate: True = each output channel is scaled back to unit variance.
        noise: Noise [N or 1, 1, H', W'], added after demodulation; None = none.
        gain: Factor of the result.
        prepared: Result of `with_power` for the weight; None = it is computed.

    Returns:
        Activations [N, O, H', W'].
    """
    bias = (bias * gain).to(x.dtype)
    if demodulate and x.dtype == torch.float16:  # like the weights
        styles = styles / styles.abs().amax(dim=1, keepdim=True)
    modulated = x * styles.to(x.dtype)[:, :, None, None]
    if demodulate:
        weight, power = prepared or with_power(weight, x.dtype)
        scale = ((styles.square() @ power.t() + 1e-8).rsqrt() * gain).to(x.dtype)  # [N, O]
        x = conv2d_resample(modulated, weight, kernel=kernel, up=up)
        out = (
            None if torch.is_grad_enabled() else x
        )  # allocating memory for a large batch costs more than the operation
        x = torch.addcmul(bias.view(1, -1, 1, 1), x, scale[:, :, None, None], out=out)
    else:
        x = conv2d_resample(modulated, (weight * gain).to(x.dtype), bias, kernel=kernel, up=up)
    return x if noise is None else x.add_((noise * gain).to(x.dtype))


class FullyConnected(nn.Module):
    """x Wᵀ + b and an activation, with a learning-rate multiplier.

    Attributes:
        weight: Weights [out, in].
        bias: Biases [out].
    """

    def __init__(
        self, inputs: int, outputs: int, *, activation: str = "linear", lr_multiplier: float = 1.0, bias_init: float = 0
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), float(bias_init)))
        self.activation = activation
        self.weight_gain = GAINS[activation] * lr_multiplier / math.sqrt(inputs)
        self.bias_gain = GAINS[activation] * lr_multiplier

    def forward(self, x: Tensor) -> Tensor:
        """[N, in] to [N, out]."""
        return activate(F.linear(x, self.weight * self.weight_gain, self.bias * self.bias_gain), self.activation)


class Conv2d(nn.Module):
    """A convolution with bias, activation and resampling by 2.

    Attributes:
        weight: Weights [O, I, k, k]; they and the biases are parameters if the layer is trainable, else buffers.
        bias: Biases [O]; None = none.
        resample_filter: FIR filter [4, 4].
    """

    weight: Tensor
    bias: Tensor | None
    resample_filter: Tensor

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int,
        *,
        bias: bool = True,
        activation: str = "linear",
        up: int = 1,
        down: int = 1,
        clamp: float | None = None,
        trainable: bool = True,
    ) -> None:
        super().__init__()
        self._register("weight", initial_kernel(outputs, inputs, size, up=up), trainable)
        self._register("bias", torch.zeros(outputs) if bias else None, trainable)
        self.register_buffer("resample_filter", fir_filter())
        self.activation, self.up, self.down, self.clamp = activation, up, down, clamp
        self.weight_gain = 1 / math.sqrt(inputs * size * size)

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        """[N, I, H, W] to [N, O, H', W']; `gain` multiplies the output, and the clamp with it."""
        output_gain = gain * GAINS[self.activation]
        weight = (self.weight * (self.weight_gain * output_gain)).to(x.dtype)
        bias = None if self.bias is None else (self.bias * output_gain).to(x.dtype)
        x = conv2d_resample(x, weight, bias, kernel=self.resample_filter, up=self.up, down=self.down)
        return activate(x, self.activation, clamp=None if self.clamp is None else self.clamp * gain)

    def _register(self, name: str, value: Tensor | None, trainable: bool) -> None:
        if trainable and value is not None:
            self.register_parameter(name, nn.Parameter(value))
        else:
            self.register_buffer(name, value)
