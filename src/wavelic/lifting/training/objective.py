"""Rate-distortion objectives for a lifting transform on luma crops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from wavelic.errors import UsageError
from wavelic.lifting.names import PLAIN_STRUCTURES
from wavelic.lifting.structures import build_lifting
from wavelic.lifting.training.contexts import BandLengths, ContextLengths
from wavelic.lifting.training.operators import trained_operators
from wavelic.lifting.training.oracle import Oracle
from wavelic.lifting.training.progressive import progressive_error
from wavelic.lifting.training.rates import context_bits, smooth_bits
from wavelic.lifting.training.surrogate import code_lengths, dead_zone
from wavelic.lifting.transform.levels import HybridLevel
from wavelic.lifting.transform.transform import LiftingTransform
from wavelic.wavelets import Bands2d, Coefficients2d, dwt2, idwt2

LEVELS = 5
GRAYS = 255.0
SMOOTH_SHARE = 0.327  # smooth bits for each bit of the real coder, roughly; results/lifting/rates.json has 0.31 to 0.32
_STRIDE = 17
_FORMULAS = {"smooth": smooth_bits, "context": context_bits}
_TABLES = {"coder": ContextLengths, "histogram": BandLengths}


def luma_planes(crops: Tensor) -> Tensor:
    """Convert RGB (N, 3, H, W), uint8, to luma (N, 1, H, W) in [-0.5, 0.5]."""
    weights = crops.new_tensor([0.299, 0.587, 0.114], dtype=torch.float32)
    return torch.einsum("c,nchw->nhw", weights, crops.float()).unsqueeze(1) / GRAYS - 0.5


def synthesis_norms(base: str) -> list[dict[str, float]]:
    """L2 norms of the synthesis vectors of every band; level 1 first, keys "low", "lh", "hl", "hh"."""
    norms: list[dict[str, float]] = []
    for level in range(1, LEVELS + 1):
        blank = dwt2(torch.zeros(1, 1, 32 << level, 32 << level, dtype=torch.float64), base, level, "jpeg2000")
        row = {}
        for name in ("low", "lh", "hl", "hh"):
            impulse = torch.zeros_like(blank.low)
            impulse[..., 16, 16] = 1  # far from the edges
            last = blank.levels[-1] if name == "low" else replace(blank.levels[-1], **{name: impulse})
            low = impulse if name == "low" else blank.low
            row[name] = float(idwt2(replace(blank, low=low, levels=(*blank.levels[:-1], last))).square().sum().sqrt())
        norms.append(row)
    return norms


@dataclass(frozen=True)
class Plan:
    """Terms of the objective; keys of `wavelic.lifting.training.stage.LiftingStage` of the same names."""

    rate: str = "smooth"
    distortion: bool = False
    straight_through: bool = False
    penalty: float = 0.1
    trade: float = 0.2
    oracle: bool = False
    progressive: bool = False


class LiftingObjective(nn.Module):
    """A transform with J = D + lambda (R + penalty), lambda = ``trade`` * step^2 (spec: 0.2 for this quantiser).

    D: squared error in gray levels after the dead-zone quantiser at the bands' steps.  R: bits of the details, by a
    formula of `rates` ("smooth", "context") or by adaptive code lengths ("coder" in contexts like the block
    coder's, "histogram" per band), whose staircase has the smoothed gradient of `surrogate`.  Without
    ``distortion`` J = R + penalty.

    The penalty is the energy of what T_H2L takes from the low bands, in gray levels squared: it keeps reduced pictures
    and the pseudo-image pictures.

    oracle: opacities are oracle maps of the image (`oracle`), not the networks'.  progressive: J is equation 8
    instead (`progressive`).

    J is divided by the base wavelet's own D (or R without distortion) on the same crop at the same step, so that every
    crop and step counts by what it gains relatively.
    """

    def __init__(self, transform: LiftingTransform, plan: Plan) -> None:
        super().__init__()
        if plan.rate not in (*_FORMULAS, *_TABLES):
            raise UsageError(f"no rate {plan.rate!r}; choose one of {', '.join((*_FORMULAS, *_TABLES))}")
        self.transform, self.plan = transform, plan
        self.norms = synthesis_norms(transform.base)
        self.plain = build_lifting(PLAIN_STRUCTURES[transform.base])
        self.lengths = _TABLES[plan.rate](3 * LEVELS) if plan.rate in _TABLES else None
        self.taken: list[Tensor] = []
        if isinstance(transform.level, HybridLevel):
            operator = transform.level.high_to_low
            assert isinstance(operator, nn.Module)
            operator.register_forward_hook(lambda _module, _inputs, output: self.taken.append(output))

    def scaled(self, coefficients: Coefficients2d, step: Tensor) -> Coefficients2d:
        """Coefficients (N, 1, ...) of images in [-0.5, 0.5] -> quantiser steps; step: (N, 1, 1, 1) in gray levels."""
        return self._multiplied(coefficients, lambda norm: GRAYS * norm / step)

    def unscaled(self, coefficients: Coefficients2d, step: Tensor) -> Coefficients2d:
        """Inverse of `scaled`."""
        return self._multiplied(coefficients, lambda norm: step / (GRAYS * norm))

    def _multiplied(self, coefficients: Coefficients2d, factor: Callable[[float], Tensor]) -> Coefficients2d:
        levels = tuple(
            Bands2d(bands.lh * factor(norms["lh"]), bands.hl * factor(norms["hl"]), bands.hh * factor(norms["hh"]))
            for bands, norms in zip(coefficients.levels, self.norms, strict=True)
        )
        return replace(coefficients, low=coefficients.low * factor(self.norms[-1]["low"]), levels=levels)

    def details(self, coefficients: Coefficients2d) -> list[Tensor]:
        """The detail bands, finest first."""
        return [band for bands in coefficients.levels for band in (bands.lh, bands.hl, bands.hh)]

    def bits(self, u: Coefficients2d, s: float = 1.0, count: bool = False) -> Tensor:
        """Bits of the details of every image, (N,).  ``count``: adapt the code lengths to them first."""
        bands = self.details(u)
        if self.lengths is None:
            rate = _FORMULAS[self.plan.rate]
            return torch.stack([rate(band).sum((1, 2, 3)) for band in bands]).sum(0)
        rows = self.lengths.rows(bands)
        if count:
            self.lengths.update(bands, rows)
        table = self.lengths.lengths()
        parts = [code_lengths(band, row, table, s).sum((1, 2, 3)) for band, row in zip(bands, rows, strict=True)]
        return torch.stack(parts).sum(0)

    @torch.no_grad()
    def step_for(self, x: Tensor, bpp: Tensor) -> Tensor:
        """The quantiser step, (N,) in gray levels, at which the base wavelet codes x at about ``bpp``, (N,).

        The real coder spends a nearly fixed multiple of the smooth bits at the step of its distortion.
        """
        base = self.scaled(dwt2(x, self.transform.base, LEVELS, "jpeg2000"), x.new_ones(()))
        samples = torch.cat([band.flatten(1) for band in self.details(base)], 1)[:, ::_STRIDE]
        low, high = x.new_zeros(len(x)), x.new_full((len(x),), 6.0)
        for _ in range(10):
            middle = (low + high) / 2
            estimate = smooth_bits(samples / middle.exp().unsqueeze(1)).mean(1) / SMOOTH_SHARE
            low, high = torch.where(estimate > bpp, middle, low), torch.where(estimate > bpp, high, middle)
        return ((low + high) / 2).exp()

    def forward(self, x: Tensor, step: Tensor, s: float = 1.0) -> dict[str, Tensor]:
        """Compute J.

        Args:
            x: luma (N, 1, H, W) in [-0.5, 0.5].
            step: quantiser step of every image, (N,), in gray levels.
            s: half-width of the surrogates.

        Returns:
            Scalars; "loss" is J, the others are for the log.
        """
        step = step.view(-1, 1, 1, 1)
        with torch.no_grad():
            base = self.scaled(dwt2(x, self.transform.base, LEVELS, "jpeg2000"), step)
        self.taken.clear()
        if self.plan.oracle:
            for operator in trained_operators(self.transform):
                operator.oracle = Oracle(x, operator.operator.shape.channels)
        with torch.enable_grad():  # without, operators run piece by piece, and ``taken`` would have the pieces
            y = self.transform.analysis(x, LEVELS)
        if self.plan.progressive:
            self.taken.clear()
            with torch.no_grad():
                plain_error = progressive_error(self.plain, dwt2(x, self.transform.base, LEVELS, "jpeg2000"), x)
            return {"loss": (progressive_error(self.transform, y, x) / plain_error).mean()}
        taken = [GRAYS * output for output in self.taken]
        energy = sum((output.square().sum((1, 2, 3)) for output in taken), start=x.new_zeros(len(x)))
        u = self.scaled(y, step)
        bits = self.bits(u, s, count=self.training)
        terms: dict[str, Tensor] = {}
        if self.plan.distortion:
            width = None if self.plan.straight_through else s
            decoded = self.transform.synthesis(self.unscaled(u.map(lambda band: dead_zone(band, width)), step))
            squared = (GRAYS * (decoded - x)).square().sum((1, 2, 3))
            with torch.no_grad():
                plain = idwt2(self.unscaled(base.map(dead_zone), step))
                base_squared = (GRAYS * (plain - x)).square().sum((1, 2, 3))
            weight = self.plan.trade * step.flatten().square()
            loss = ((squared + weight * (bits + self.plan.penalty * energy)) / base_squared).mean()
            terms["gain"] = (10 * torch.log10(base_squared / squared)).mean()
        else:
            base_bits = self.bits(base)
            loss = ((bits + self.plan.penalty * energy) / base_bits).mean()
            terms["rate"] = (bits / base_bits).mean()
        self.taken.clear()
        terms |= {"loss": loss, "bpp": bits.mean() / (x.shape[-2] * x.shape[-1])}
        if taken:
            terms |= {f"h2l{level}": output.square().mean().sqrt() for level, output in enumerate(taken, 1)}
        return terms
