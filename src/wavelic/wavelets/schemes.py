"""The three wavelets as lifting schemes: their steps, their gains, their two normalisations.

A lifting scheme (Sweldens 1996; Daubechies and Sweldens 1998) splits the samples by the parity of their coordinate into
``low`` (even) and ``high`` (odd) and then lets the two halves improve each other in turn: a step adds to every sample
of one half a weighted sum of its two neighbours in the other half.  Undoing a step is subtracting what was added.

Normalisation.  The steps fix the wavelet up to one factor per band:

``jpeg2000``     low-pass gain 1 at DC, high-pass gain 2 at the Nyquist frequency (ITU-T T.800).  A low band keeps the
                 range of the image, at every level.
``orthonormal``  the above with low x sqrt 2 and high / sqrt 2: gains sqrt 2 and sqrt 2.  Haar becomes an orthonormal
                 transform; 5/3 and 9/7, which are biorthogonal, come close (9/7 within a few percent), so that white
                 quantisation noise stays nearly white.  For 9/7 this is low x K, high / K with K = 1.149604398860241
                 applied to the bare steps, the scale of PyWavelets' bior4.4.
``reversible``   5/3 only, integers to integers with floors; JPEG 2000's lossless path (see `reversible`).

Sign.  A 5/3 or 9/7 high sample is "odd sample minus its prediction", as in JPEG 2000.  A Haar high sample is "even
minus odd", as in the literature and PyWavelets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from wavelic.errors import UsageError

Normalization = Literal["jpeg2000", "orthonormal", "reversible"]
NORMALIZATIONS = ("jpeg2000", "orthonormal", "reversible")


@dataclass(frozen=True)
class Step:
    """Lifting step: target[i] += left * (neighbour at i - 1) + right * (neighbour at i + 1).

    Attributes:
        target: "low" or "high", the half that changes.
        left: weight of the neighbour at the lower coordinate.
        right: weight of the neighbour at the higher coordinate.
        mirror: replace a neighbour beyond the border by the one on the other side, which is whole-sample symmetric
            extension of the signal; without it the term is dropped.
    """

    target: Literal["low", "high"]
    left: float
    right: float
    mirror: bool = True


@dataclass(frozen=True)
class Scheme:
    """Wavelet as lifting steps in analysis order, and the gains of the ``jpeg2000`` normalisation.

    Attributes:
        name: "haar", "5/3" or "9/7".
        steps: in analysis order.
        low_gain: factor of the low band, after the steps.
        high_gain: factor of the high band, after the steps.
    """

    name: str
    steps: tuple[Step, ...]
    low_gain: float
    high_gain: float

    def gains(self, normalization: Normalization) -> tuple[float, float]:
        """Gains of the two halves.

        Args:
            normalization: "jpeg2000", "orthonormal" or "reversible".

        Returns:
            Factors (low, high), to be applied after the steps.
        """
        if normalization == "orthonormal":
            return self.low_gain * math.sqrt(2.0), self.high_gain / math.sqrt(2.0)
        return self.low_gain, self.high_gain

    def scaled_steps(self, normalization: Normalization) -> tuple[Step, ...]:
        """Lifting steps for halves that are multiplied by their gains *before* the steps, not after.

        With the gains in front, the copy that separates even from odd samples does the multiplication.

        Args:
            normalization: "jpeg2000", "orthonormal" or "reversible".

        Returns:
            The steps with adapted weights, in analysis order.
        """
        low, high = self.gains(normalization)
        ratio = {"high": high / low, "low": low / high}
        return tuple(Step(s.target, s.left * ratio[s.target], s.right * ratio[s.target], s.mirror) for s in self.steps)


# A Haar high sample whose even partner lies beyond the border is predicted from the next even sample; a low sample
# without an odd partner is its own mean, hence no mirror in the update.
HAAR = Scheme("haar", (Step("high", -1.0, 0.0), Step("low", 0.0, 0.5, mirror=False)), 1.0, -1.0)

# LeGall and Tabatabai 1988; ITU-T T.800 F.3.
LEGALL_5_3 = Scheme("5/3", (Step("high", -0.5, -0.5), Step("low", 0.25, 0.25)), 1.0, 1.0)

# Cohen, Daubechies and Feauveau 1992, factored by Daubechies and Sweldens 1998; constants of ITU-T T.800, table F.4.
_ALPHA = -1.586134342059924
_BETA = -0.052980118572961
_GAMMA = 0.882911075530934
_DELTA = 0.443506852043971
_K = 1.230174104914001
CDF_9_7 = Scheme(
    "9/7",
    (
        Step("high", _ALPHA, _ALPHA),
        Step("low", _BETA, _BETA),
        Step("high", _GAMMA, _GAMMA),
        Step("low", _DELTA, _DELTA),
    ),
    1.0 / _K,
    _K,
)

WAVELETS: dict[str, Scheme] = {scheme.name: scheme for scheme in (HAAR, LEGALL_5_3, CDF_9_7)}


def get_scheme(wavelet: str, normalization: str) -> Scheme:
    """Look up a wavelet.

    Args:
        wavelet: "haar", "5/3" or "9/7".
        normalization: "jpeg2000", "orthonormal", or with "5/3" "reversible".

    Returns:
        The scheme.

    Raises:
        UsageError: unknown wavelet or normalisation, or two that do not go together.
    """
    if wavelet not in WAVELETS:
        raise UsageError(f"unknown wavelet {wavelet!r}; choose one of {', '.join(map(repr, WAVELETS))}")
    if normalization not in NORMALIZATIONS:
        raise UsageError(f"unknown normalization {normalization!r}; choose one of {', '.join(NORMALIZATIONS)}")
    if normalization == "reversible" and wavelet != "5/3":
        raise UsageError(f"wavelet {wavelet!r} has no reversible form; use '5/3' or another normalization")
    return WAVELETS[wavelet]
