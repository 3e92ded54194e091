"""Gradients of the golden networks held against the original's, for tests of second derivatives."""

import numpy as np
import torch


def check_gradients(network, data, prefix, rtol):
    """Norms `prefix + gradnorm/` and whole gradients `prefix + grad/` of all parameters; NaN or empty = there is none.

    Scalars, which are sums with cancellation, may be three times as far off.
    """
    for name, parameter in network.named_parameters():
        gradient = parameter.grad
        tolerance = rtol if parameter.ndim else 3 * rtol
        norm, whole = data.get(f"{prefix}gradnorm/{name}"), data.get(f"{prefix}grad/{name}")
        if norm is not None and np.isfinite(norm):
            np.testing.assert_allclose(gradient.norm(), norm, rtol=tolerance, atol=1e-6, err_msg=name)
        elif norm is not None:
            assert gradient is None or not gradient.any(), name
        if whole is not None and whole.size:
            assert np.linalg.norm(gradient - whole) <= tolerance * np.linalg.norm(whole) + 1e-6, name


def by_autograd(function, x):
    """The gradient of a scalar function, itself differentiable."""
    x = x if x.requires_grad else x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(function(x), x, create_graph=True)
    return gradient


def by_func_grad(function, x):
    """The same by torch.func, the form that torch.compile takes."""
    return torch.func.grad(function)(x)
