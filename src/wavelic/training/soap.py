"""SOAP, Adam in the eigenbasis of Shampoo's preconditioner, for networks of many small layers.

Vyas et al., *SOAP: improving and stabilizing Shampoo using Adam* (ICLR 2025), algorithms 3 and 4.  The gradient G
of a matrix has two averages of products, L of G G^T and R of G^T G.  Their eigenvectors, brought up to date now and
then, turn the gradient to axes along which Adam's second moments fit better.  A convolution's four axes are treated
alike (axes of one element, and those longer than ``largest``, are left alone); biases get plain Adam.

The results are those of the package pytorch-optimizer, to rounding (tests/training/test_soap.py).  It is written anew
because that one works parameter by parameter: a few thousand small operations a step, which on a GPU take longer than
the network.  Here parameters of one shape are one tensor, and a step without new eigenbases is a fixed sequence of
operations without a value that a CPU must wait for: it can be recorded (`wavelic.training.capture`).

On a GPU the decompositions are made by the CPU in the background, and used when they are there, a few steps late.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from wavelic.errors import UsageError

#: (bucket, axis) -> eigenvectors, and the order in which they take the places of the old ones.
_Bases = dict[tuple[str, int], tuple[Tensor, Tensor]]


class SOAP(torch.optim.Optimizer):
    """The optimiser.

    Its state is held for parameters of one shape together; a checkpoint fits the same network only.

    Args:
        groups: parameters, or dicts with "params" and perhaps "lr".
        lr: step size.
        betas: decay of the averages of gradients, and of their squares and products.
        eps: added to the root of second moments.
        precondition_every: steps between two updates of the eigenbases.
        largest: longest axis that has an eigenbasis.
    """

    def __init__(
        self,
        groups: Iterable[Any],
        lr: float = 3e-3,
        betas: tuple[float, float] = (0.95, 0.95),
        eps: float = 1e-8,
        precondition_every: int = 10,
        largest: int = 400,
    ) -> None:
        super().__init__(groups, {"lr": lr, "step": 0})
        self.betas, self.eps = betas, eps
        self.precondition_every, self.largest = precondition_every, largest
        self.state: Any  # by name of a bucket: the base class thinks of one entry for each parameter
        self._members: dict[str, list[Tensor]] = {}
        self._rates: list[Tensor] = []
        self._pool: ThreadPoolExecutor | None = None
        self._pending: Future[_Bases] | None = None

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step; the first one only measures the gradients, as in the reference.

        Raises:
            UsageError: a parameter has lost or gained its gradient since the first step.
        """
        assert closure is None
        if self.begin():
            self.update()
            self.refresh()

    def begin(self) -> bool:
        """Count a step and set its size; False if it was the first, after which there is nothing to `update`."""
        if not self._members:
            self._gather()
        first = self.param_groups[0]["step"] == 0
        for number, group in enumerate(self.param_groups):
            group["step"] += 1
            if first:
                continue
            beta1, beta2 = self.betas
            count = group["step"] - 1
            self._rates[number].fill_(group["lr"] * math.sqrt(1 - beta2**count) / (1 - beta1**count))
        if first:
            self._start()
        return not first

    @torch.no_grad()
    def update(self) -> None:
        """Change parameters and averages by their gradients: a fixed sequence of operations on the device."""
        beta1, beta2 = self.betas
        for name, members in self._members.items():
            state = self.state[name]
            gradient = self._gradient(name)
            average, squares, bases = state["average"], state["squares"], state["bases"]
            average.lerp_(gradient, 1 - beta1)
            squares.lerp_(_turned(gradient, bases).square_(), 1 - beta2)
            change = _turned(average, bases).div_(squares.sqrt().add_(self.eps))
            change = _turned(change, bases, back=True).mul_(self._rates[state["group"]])
            if state["flat"]:
                parts = [
                    part.view_as(p) for part, p in zip(change.split([p.numel() for p in members]), members, strict=True)
                ]
            else:
                parts = [part.view_as(p) for part, p in zip(change.unbind(), members, strict=True)]
            torch._foreach_sub_(members, parts)
            self._average_products(state, gradient)

    @torch.no_grad()
    def refresh(self) -> None:
        """Bring the eigenbases up to date when it is time for it."""
        if self._pending is not None and self._pending.done():
            self._take(self._pending.result())
            self._pending = None
        if (self.param_groups[0]["step"] - 1) % self.precondition_every or self._pending is not None:
            return
        iterated: _Bases = {}
        for name in self._members:
            state = self.state[name]
            for axis, base in state["bases"].items():
                product = state["products"][axis] @ base
                order = (base * product).sum(1).argsort(1, descending=True)
                iterated[name, axis] = product.gather(2, order[:, None].expand_as(product)), order
        if all(product.device.type == "cpu" for product, _ in iterated.values()):
            self._take(_orthogonal(iterated))
            return
        self._pool = self._pool or ThreadPoolExecutor(1, "eigenbases")
        here = {key: (product.cpu(), order) for key, (product, order) in iterated.items()}
        self._pending = self._pool.submit(_orthogonal, here)

    def state_dict(self) -> dict[str, Any]:
        """The state, once eigenbases that are being made are there."""
        if self._pending is not None:
            with torch.no_grad():
                self._take(self._pending.result())
            self._pending = None
        return super().state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state of the same network."""
        super().load_state_dict(state_dict)
        if not self.state:
            return
        self._gather({name: entry["members"] for name, entry in self.state.items()})
        for name, members in self._members.items():
            state, device = self.state[name], members[0].device
            for key in ("average", "squares"):
                state[key] = state[key].to(device)
            for key in ("bases", "products"):
                state[key] = {axis: value.to(device) for axis, value in state[key].items()}

    def _gather(self, known: dict[str, list[int]] | None = None) -> None:
        """Put parameters of one shape together."""
        parameters = [(number, p) for number, group in enumerate(self.param_groups) for p in group["params"]]
        if known is None:
            known = {}
            for place, (number, p) in enumerate(parameters):
                if p.grad is not None:
                    shape = tuple(p.shape) if self._axes(tuple(p.shape)) else ("flat",)
                    known.setdefault(f"{number}:{'x'.join(map(str, shape))}", []).append(place)
        self._members = {name: [parameters[place][1] for place in places] for name, places in known.items()}
        self._places = known
        device = parameters[0][1].device
        self._rates = [torch.zeros((), device=device) for _ in self.param_groups]

    def _axes(self, shape: tuple[int, ...]) -> list[int]:
        """Axes of a parameter that have an eigenbasis."""
        return [axis for axis, size in enumerate(shape) if len(shape) > 1 and 1 < size <= self.largest]

    def _gradient(self, name: str) -> Tensor:
        """The gradients of a bucket as one tensor: (parameters, *shape), or flat."""
        gradients = [p.grad for p in self._members[name]]
        if any(gradient is None for gradient in gradients):
            raise UsageError(f"parameters of shape {name} have no gradient any more; train them in a run of their own")
        if self.state[name]["flat"]:
            return torch.cat([g.flatten() for g in gradients])  # type: ignore[union-attr]
        return torch.stack([g.contiguous() for g in gradients])  # type: ignore[union-attr]

    def _start(self) -> None:
        """State of every bucket, from the first gradients."""
        for name, places in self._places.items():
            shape = tuple(self._members[name][0].shape)
            axes = self._axes(shape)
            state: dict[str, Any] = {"group": int(name.split(":")[0]), "flat": not axes, "members": places}
            self.state[name] = state
            gradient = self._gradient(name)
            state |= {"average": torch.zeros_like(gradient), "squares": torch.zeros_like(gradient)}
            state["products"] = {axis: gradient.new_zeros(len(gradient), shape[axis], shape[axis]) for axis in axes}
            self._average_products(state, gradient)
            state["bases"] = {
                axis: torch.linalg.eigh(product.cpu())[1].flip(2).contiguous().to(product.device)
                for axis, product in state["products"].items()
            }

    def _average_products(self, state: dict[str, Any], gradient: Tensor) -> None:
        for axis, product in state["products"].items():
            rows = gradient.movedim(axis + 1, 1).flatten(2)
            product.lerp_(rows @ rows.mT, 1 - self.betas[1])

    def _take(self, found: _Bases) -> None:
        """Put new eigenbases in the place of the old ones; squares move with their axes."""
        for (name, axis), (base, order) in found.items():
            state = self.state[name]
            state["bases"][axis].copy_(base, non_blocking=True)
            squares = state["squares"]
            shape = [1] * squares.dim()
            shape[0], shape[axis + 1] = order.shape
            squares.copy_(squares.gather(axis + 1, order.view(shape).expand_as(squares)))


def _turned(x: Tensor, bases: dict[int, Tensor], back: bool = False) -> Tensor:
    """Multiply (parameters, *shape) along every axis by its eigenbasis, or back; always a new tensor."""
    if not bases:
        return x.clone()
    for axis, base in bases.items():
        moved = x.movedim(axis + 1, 1)
        turned = (base if back else base.mT) @ moved.flatten(2)
        x = turned.view(moved.shape).movedim(1, axis + 1)
    return x


def _orthogonal(iterated: _Bases) -> _Bases:
    """Orthonormal bases of what one power iteration has made of the old ones."""
    return {key: (torch.linalg.qr(product)[0], order) for key, (product, order) in iterated.items()}
