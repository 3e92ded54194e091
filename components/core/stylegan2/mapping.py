"""The mapping network: latents and labels to the intermediate space W."""

from typing import cast

import torch
from torch import Tensor, nn

from components.core.stylegan2.layers import FullyConnected, normalize

LR_MULTIPLIER = 0.01
W_AVG_DECAY = 0.995


class MappingNetwork(nn.Module):
    """z [N, z_dim] and c [N, c_dim] to w; for G broadcast to [N, num_ws, w_dim], for D [N, w_dim].

    Args:
        z_dim: Length of a latent; 0 = labels only, as in the discriminator.
        c_dim: Length of a label vector; 0 = unconditional.
        w_dim: Length of w, and of the embedded label.
        num_ws: Number of w for the synthesis; None = w is not broadcast, and no mean of w is tracked.
        num_layers: Number of fully connected layers.
    """

    w_avg: Tensor

    def __init__(self, z_dim: int, c_dim: int, w_dim: int, num_ws: int | None, num_layers: int = 8) -> None:
        super().__init__()
        self.z_dim, self.c_dim, self.num_ws, self.num_layers = z_dim, c_dim, num_ws, num_layers
        if c_dim > 0:
            self.embed = FullyConnected(c_dim, w_dim)
        inputs = z_dim + (w_dim if c_dim > 0 else 0)
        for index in range(num_layers):
            layer = FullyConnected(inputs, w_dim, activation="lrelu", lr_multiplier=LR_MULTIPLIER)
            self.add_module(f"fc{index}", layer)
            inputs = w_dim
        if num_ws is not None:
            self.register_buffer("w_avg", torch.zeros(w_dim))

    def forward(
        self,
        z: Tensor | None,
        c: Tensor | None,
        *,
        truncation_psi: float = 1.0,
        truncation_cutoff: int | None = None,
        truncation_centre: Tensor | None = None,
        update_w_avg: bool = True,
    ) -> Tensor:
        """Maps z and c to w, and in training mode moves the mean of w towards the batch's.

        Args:
            z: Latents, of any float type.
            c: Label vectors.
            truncation_psi: Weight of w against the centre, 0..1; 1 = no truncation.
            truncation_cutoff: Number of the first w that are truncated; None = all.
            truncation_centre: Centre of the truncation, [w_dim] or one per image [N, w_dim], such as
                `c @ class_centres(G)`; None = the mean of all w, `w_avg`.
            update_w_avg: True = a call in training mode moves the mean.
        """
        parts = []
        if self.z_dim > 0:
            parts.append(normalize(cast(Tensor, z).float()))
        if self.c_dim > 0:
            parts.append(normalize(self.embed(cast(Tensor, c).float())))
        w = torch.cat(parts, dim=1)
        for index in range(self.num_layers):
            w = self.get_submodule(f"fc{index}")(w)
        if self.num_ws is None:
            return w  # [N, w_dim]
        if self.training and update_w_avg:
            self.w_avg.copy_(w.detach().mean(dim=0).lerp(self.w_avg, W_AVG_DECAY))
        ws = w.unsqueeze(1).expand(-1, self.num_ws, -1)  # [N, num_ws, w_dim]
        if truncation_psi == 1:
            return ws
        centre = self.w_avg if truncation_centre is None else truncation_centre
        truncated = centre.lerp(w, truncation_psi).unsqueeze(1)  # [N, 1, w_dim]
        cutoff = self.num_ws if truncation_cutoff is None else truncation_cutoff
        return torch.cat([truncated.expand(-1, cutoff, -1), ws[:, cutoff:]], dim=1)
