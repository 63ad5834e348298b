"""GDN against its definition, and its hand-written gradient against finite differences."""

import pytest
import torch

from wavelic.nn.gdn import GDN, lower_bound


def _reference(layer: GDN, x: torch.Tensor) -> torch.Tensor:
    beta = layer.beta.square() - 2.0**-36
    gamma = layer.gamma.square() - 2.0**-36
    norm = torch.einsum("ij,njhw->nihw", gamma, x.square()) + beta[None, :, None, None]
    return x * norm.sqrt() if layer.inverse else x / norm.sqrt()


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (130, 70)])  # the last needs several blocks
def test_equals_definition(inverse: bool, memory_format: torch.memory_format, size: tuple[int, int]) -> None:
    torch.manual_seed(1)
    layer = GDN(24, inverse).double()
    with torch.no_grad():
        layer.gamma.add_(0.3 * torch.rand(24, 24))
    x = torch.randn(2, 24, *size, dtype=torch.double).contiguous(memory_format=memory_format)
    torch.testing.assert_close(layer(x), _reference(layer, x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("inverse", [False, True])
def test_gradient(inverse: bool) -> None:
    torch.manual_seed(2)
    layer = GDN(4, inverse).double()
    x = torch.randn(2, 4, 3, 2, dtype=torch.double, requires_grad=True)
    parameters = (0.7 + torch.rand(4, dtype=torch.double)).requires_grad_(), torch.rand(4, 4, dtype=torch.double)

    def call(x: torch.Tensor, beta: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(layer, {"beta": beta, "gamma": gamma}, (x,))

    assert torch.autograd.gradcheck(call, (x, parameters[0], (0.1 + parameters[1]).requires_grad_()))


def test_blocks_do_not_change_gradients() -> None:
    torch.manual_seed(3)
    layer = GDN(16).double()
    x = torch.randn(1, 16, 100, 90, dtype=torch.double, requires_grad=True)
    layer(x).square().sum().backward()
    mine = [x.grad, layer.gamma.grad, layer.beta.grad]
    x.grad = layer.gamma.grad = layer.beta.grad = None
    _reference(layer, x).square().sum().backward()
    for got, expected in zip(mine, [x.grad, layer.gamma.grad, layer.beta.grad], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("inverse", [False, True])
def test_the_same_bits_with_and_without_gradients(inverse: bool) -> None:
    torch.manual_seed(4)
    layer, x = GDN(24, inverse), torch.randn(2, 24, 130, 70)
    with torch.no_grad():
        layer.gamma.add_(0.3 * torch.rand(24, 24))
        without = layer(x)
    assert torch.equal(layer(x), without)


def test_float32_under_autocast() -> None:
    layer = GDN(8)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(1, 8, 4, 4, dtype=torch.bfloat16)).dtype == torch.float32


def test_lower_bound_lets_rescuing_gradients_pass() -> None:
    x = torch.tensor([0.5, 0.5, 2.0], requires_grad=True)
    bounded = lower_bound(x, 1.0)
    assert bounded.tolist() == [1.0, 1.0, 2.0]
    bounded.backward(torch.tensor([1.0, -1.0, 1.0]))
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, -1.0, 1.0]
