"""StyleGAN2's default networks executed as their description reads, on the parameters of ours: the peer of a bench.

PyTorch's default memory layout, zeros inserted before a filter, one operation for each step, and weights of its own for
each sample in a grouped convolution when it does not train. In float32; slow, and easy to check.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from components.core.stylegan2 import Discriminator, Generator
from components.core.stylegan2.layers import Conv2d
from components.core.stylegan2.synthesis import SynthesisLayer, ToRGB


def synthesize(G: Generator, ws: Tensor) -> Tensor:
    """Images of ws [N, num_ws, w_dim], with fresh noise."""
    net = G.synthesis
    x = net.b4.const.expand(len(ws), -1, -1, -1).contiguous()
    img, index = None, 0
    for name in net.blocks:
        block = net.get_submodule(name)
        for layer in [block.conv1] if img is None else [block.conv0, block.conv1]:
            x = _layer(layer, x, ws[:, index])
            index += 1
        rgb = _to_rgb(block.torgb, x, ws[:, index])
        img = rgb if img is None else _filtered(img, block.resample_filter * 4, up=2, padding=(2, 1)) + rgb
    return img


def discriminate(D: Discriminator, img: Tensor, c: Tensor) -> Tensor:
    """Logits [N, 1]."""
    x = _convolution(D.get_submodule(D.blocks[0]).fromrgb, img)
    for name in D.blocks:
        block = D.get_submodule(name)
        skip = _convolution(block.skip, x, gain=math.sqrt(0.5))
        x = skip + _convolution(block.conv1, _convolution(block.conv0, x), gain=math.sqrt(0.5))
    group = min(D.b4.mbstd_group_size, len(x))
    spread = x.view(group, -1, *x.shape[1:])
    spread = (spread - spread.mean(dim=0)).square().mean(dim=0).add(1e-8).sqrt().mean(dim=(1, 2, 3), keepdim=True)
    x = torch.cat([x, spread.repeat(group, 1, *x.shape[2:])], dim=1)
    x = D.b4.out(D.b4.fc(_convolution(D.b4.conv, x).flatten(1)))
    if D.c_dim > 0:
        cmap = D.mapping(None, c)
        x = (x * cmap).sum(dim=1, keepdim=True) / math.sqrt(cmap.shape[1])
    return x


def _layer(layer: SynthesisLayer, x: Tensor, w: Tensor) -> Tensor:
    n, kernel = len(x), layer.resample_filter
    styles = layer.affine(w)
    weight = layer.weight[None] * styles[:, None, :, None, None]  # [N, O, I, 3, 3]
    scale = (weight.square().sum(dim=(2, 3, 4)) + 1e-8).rsqrt()
    if layer.training:
        x = _resampled(x * styles[:, :, None, None], layer.weight, kernel, up=layer.up) * scale[:, :, None, None]
    else:
        weight = (weight * scale[:, :, None, None, None]).flatten(0, 1)
        x = _resampled(x.reshape(1, -1, *x.shape[2:]), weight, kernel, up=layer.up, groups=n)
        x = x.view(n, -1, *x.shape[2:])
    x = x + torch.randn(n, 1, *x.shape[2:], device=x.device) * layer.noise_strength
    return _activated(x + layer.bias.view(-1, 1, 1), "lrelu", 1, layer.clamp)


def _to_rgb(layer: ToRGB, x: Tensor, w: Tensor) -> Tensor:
    styles = layer.affine(w) * layer.weight_gain
    x = F.conv2d(x * styles[:, :, None, None], layer.weight) + layer.bias.view(-1, 1, 1)
    return _activated(x, "linear", 1, layer.clamp)


def _convolution(layer: Conv2d, x: Tensor, gain: float = 1) -> Tensor:
    x = _resampled(x, layer.weight * layer.weight_gain, layer.resample_filter, down=layer.down)
    if layer.bias is not None:
        x = x + layer.bias.view(-1, 1, 1)
    return _activated(x, layer.activation, gain, layer.clamp)


def _activated(x: Tensor, activation: str, gain: float, clamp: float | None) -> Tensor:
    if activation == "lrelu":
        x = F.leaky_relu(x, 0.2) * math.sqrt(2)
    x = x * gain
    return x if clamp is None else x.clamp(-clamp * gain, clamp * gain)


def _resampled(x: Tensor, weight: Tensor, kernel: Tensor, *, up: int = 1, down: int = 1, groups: int = 1) -> Tensor:
    half = weight.shape[-1] // 2
    if down > 1:
        x = _filtered(x, kernel, padding=(half + 1, half + 1))
        return F.conv2d(x, weight, stride=down)
    if up == 1:
        return F.conv2d(x, weight, padding=half, groups=groups)
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    weight = weight.view(groups, outputs, inputs, *weight.shape[2:]).transpose(1, 2).flatten(0, 1)
    x = F.conv_transpose2d(x, weight, stride=up, groups=groups)
    return _filtered(x, kernel * up**2, padding=(1, 1))


def _filtered(x: Tensor, kernel: Tensor, *, up: int = 1, padding: tuple[int, int]) -> Tensor:
    n, channels, height, width = x.shape
    if up > 1:
        x = F.pad(x.view(n, channels, height, 1, width, 1), [0, up - 1, 0, 0, 0, up - 1])
        x = x.view(n, channels, height * up, width * up)
    weight = kernel.flip(0, 1).expand(channels, 1, *kernel.shape)
    return F.conv2d(F.pad(x, [*padding, *padding]), weight, groups=channels)
