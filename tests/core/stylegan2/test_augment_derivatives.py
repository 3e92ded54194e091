"""First and second derivatives through the augmentation pipe, which R1 takes."""

import pytest
import torch
import torch.nn.functional as F

from components.core.stylegan2.augment import bilinear
from components.core.stylegan2.augment.pipe import AugmentPipe

SAMPLERS = [bilinear.sample, bilinear.sample_with_adjoint]


@pytest.fixture(params=SAMPLERS, ids=["native", "adjoint"])
def sample(request):
    if request.param is bilinear.sample and not bilinear.has_second_derivative():
        pytest.skip("skipped: this PyTorch has no second derivative of grid_sample")
    return request.param


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def toy_logits(x, weight):
    """A discriminator with a curved response: [N]."""
    return F.softplus(F.conv2d(x, weight, stride=2)).square().mean(dim=(1, 2, 3))


def toy_weight(dtype=torch.float64):
    return torch.randn(4, 3, 3, 3, generator=rng(3), dtype=torch.float64).to(dtype)


def bgc(sample, dtype=torch.float64, preset="bgc"):
    pipe = AugmentPipe(preset).to(dtype)
    pipe.p.fill_(0.8)
    pipe._sample = sample
    return pipe


def r1(pipe, x, weight):
    x = x.detach().requires_grad_()
    logits = toy_logits(pipe(x, rng=rng(1)), weight)
    (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return gradient.square().sum()


def r1_functional(pipe, x, weight):
    gradient = torch.func.grad(lambda img: toy_logits(pipe(img, rng=rng(1)), weight).sum())(x)
    return gradient.square().sum()


def test_sampler_has_derivatives_of_any_order(sample):
    img = torch.randn(2, 2, 5, 6, generator=rng(), dtype=torch.float64, requires_grad=True)
    grid = torch.rand(2, 4, 3, 2, generator=rng(), dtype=torch.float64) * 2.6 - 1.3  # some points outside
    assert torch.autograd.gradcheck(sample, (img, grid))
    assert torch.autograd.gradgradcheck(sample, (img, grid))
    assert torch.autograd.gradgradcheck(lambda x: sample(x, grid).square(), (img,))


def test_own_sampler_equals_pytorchs():
    img = torch.randn(2, 3, 9, 7, generator=rng(), requires_grad=True)
    grid = torch.rand(2, 8, 5, 2, generator=rng()) * 2.6 - 1.3
    upstream = torch.randn(2, 3, 8, 5, generator=rng())
    theirs, ours = (sampler(img, grid) for sampler in SAMPLERS)
    assert torch.equal(ours, theirs)
    assert torch.equal(*(torch.autograd.grad(y, img, upstream)[0] for y in (ours, theirs)))


def test_pytorch_without_the_second_derivative_is_noticed(monkeypatch):
    class FirstOnly(torch.autograd.Function):  # as grid_sample is in versions before it had one
        @staticmethod
        def forward(ctx, img, grid):
            ctx.save_for_backward(img, grid)
            return bilinear.F.grid_sample(img, grid, align_corners=False)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(ctx, upstream):
            img, grid = ctx.saved_tensors
            with torch.enable_grad():
                img = img.detach().requires_grad_()
                y = bilinear.F.grid_sample(img, grid, align_corners=False)
            return torch.autograd.grad(y, img, upstream)[0], None

    assert bilinear.has_second_derivative()
    monkeypatch.setattr(bilinear, "sample", FirstOnly.apply)
    assert not bilinear.has_second_derivative()
    x, weight = torch.rand(2, 3, 8, 8, generator=rng(), dtype=torch.float64), toy_weight().requires_grad_()
    r1(AugmentPipe().double(), x, weight).backward()  # the pipe has taken the pair, which works on top of it
    assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("preset", ["bgc", "bgcfnc"])
def test_second_derivative_equals_finite_differences(sample, preset):
    pipe, size = bgc(sample, preset=preset), 24
    x = torch.rand(2, 3, size, size, generator=rng(), dtype=torch.float64) * 2 - 1
    weight = toy_weight().requires_grad_()
    (gradient,) = torch.autograd.grad(r1(pipe, x, weight), weight)
    direction = torch.randn(weight.shape, generator=rng(4), dtype=torch.float64)
    step = 1e-4
    with torch.no_grad():
        ahead, behind = weight + step * direction, weight - step * direction
    numeric = (r1(pipe, x, ahead) - r1(pipe, x, behind)) / (2 * step)
    torch.testing.assert_close((gradient * direction).sum(), numeric.detach(), rtol=1e-5, atol=1e-9)


def test_first_derivative_equals_finite_differences(sample):
    """Of the inner gradient: the penalty itself, from values of the logits alone."""
    pipe, weight = bgc(sample), toy_weight()
    x = torch.rand(1, 3, 6, 6, generator=rng(), dtype=torch.float64)

    def logit(img):
        return toy_logits(pipe(img, rng=rng(1)), weight).sum()

    assert torch.autograd.gradcheck(logit, (x.requires_grad_(),), fast_mode=True)
    step = 1e-5
    with torch.no_grad():
        units = torch.eye(x.numel(), dtype=torch.float64).view(-1, *x.shape) * step
        squares = [((logit(x + unit) - logit(x - unit)) / (2 * step)).square() for unit in units]
    torch.testing.assert_close(r1(pipe, x, weight).detach(), torch.stack(squares).sum(), rtol=1e-6, atol=1e-12)


def test_inner_gradient_may_be_functional(sample):
    for dtype, tolerance in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        pipe, x = bgc(sample, dtype), torch.rand(2, 3, 16, 16, generator=rng(), dtype=dtype)
        gradients = []
        for penalty in (r1, r1_functional):
            weight = toy_weight(dtype).requires_grad_()
            penalty(pipe, x, weight).backward()
            gradients.append(weight.grad)
        torch.testing.assert_close(gradients[1], gradients[0], rtol=tolerance, atol=tolerance)


def test_float32_second_derivative_equals_float64s(sample):
    x = torch.rand(2, 3, 32, 32, generator=rng(), dtype=torch.float64) * 2 - 1
    gradients = []
    for dtype in (torch.float64, torch.float32):
        weight = toy_weight(dtype).requires_grad_()
        r1(bgc(sample, dtype), x.to(dtype), weight).backward()
        gradients.append(weight.grad.double())
    assert (gradients[1] - gradients[0]).norm() <= 1e-4 * gradients[0].norm()
