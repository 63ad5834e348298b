"""Published networks that are no codecs of this package.  Importing this loads no torch.

`wavelic.codec.architectures` adds them to those of the codecs.
"""

from __future__ import annotations

from wavelic.codec.architecture import Architecture
from wavelic.lifting.codec import TRAINER
from wavelic.papers.lifting_zoo import LIFTING_ZOO
from wavelic.threedm.codec import TRAINER as THREEDM

_WECONVENE = {
    "3dm-weconvene": (73_946_828, "3D multi-level wavelet convolutions, 3DWeChARM, two levels"),
    "3dm-weconvene-1level": (73_253_324, "one spatial level"),
    "3dm-weconvene-3x3": (82_892_492, "3x3 instead of 1x1 convolutions on the high bands"),
    "3dm-weconvene-weconv": (83_903_308, "2D wavelet convolutions"),
    "3dm-weconvene-wecharm": (97_190_668, "2D wavelet entropy model"),
    "3dm-weconvene-plain": (73_133_260, "the twin without wavelets: plain convolutions"),
    "weconvene-2024": (107_147_148, "the 2D predecessor"),
}

#: The published system and its twin; the other ablations are trained at the size of `3dm`, by a script in benchmarks/.
_TRAINED = ("3dm-weconvene", "3dm-weconvene-plain")

PUBLISHED = (
    *(
        Architecture(name, "lifting", parameters, summary, "wavelic.lifting.structures:build_lifting", TRAINER)
        for name, (parameters, summary) in LIFTING_ZOO.items()
    ),
    *(
        Architecture(
            name,
            "3dm-weconvene",
            parameters,
            summary,
            "wavelic.threedm.network:network_named",
            THREEDM if name in _TRAINED else None,
        )
        for name, (parameters, summary) in _WECONVENE.items()
    ),
)
