"""Published networks that are no codecs of this package.  Importing this loads no torch.

`wavelic.codec.architectures` adds them to those of the codecs.
"""

from __future__ import annotations

from wavelic.codec.architectures import Architecture, Trainer
from wavelic.lifting.codec import TRAINER
from wavelic.papers.lifting_zoo import LIFTING_ZOO

_WECONVENE = {
    "3dm-weconvene": (73_946_828, "3D multi-level wavelet convolutions, 3DWeChARM, two levels"),
    "3dm-weconvene-1level": (73_253_324, "one spatial level"),
    "3dm-weconvene-3x3": (82_892_492, "3x3 instead of 1x1 convolutions on the high bands"),
    "3dm-weconvene-weconv": (83_903_308, "2D wavelet convolutions"),
    "3dm-weconvene-wecharm": (97_190_668, "2D wavelet entropy model"),
    "3dm-weconvene-plain": (73_133_260, "the twin without wavelets: plain convolutions"),
    "weconvene-2024": (107_147_148, "the 2D predecessor"),
}

_CODED = {
    "3dm": (4_503_372, "3DM-WeConvene for one CPU core: integers before every symbol, gain units, all rates"),
    "3dm-m": (21_682_764, "the same, larger: for training on a GPU"),
    "3dm-l": (80_962_764, "the published sizes, with integers before every symbol and gain units"),
    "3dm-plain": (4_444_972, "the twin of 3dm without wavelets"),
    "3dm-2d": (5_670_732, "the twin of 3dm with the 2D wavelet entropy model"),
}
_TRAINER = Trainer(
    "wavelic.threedm.stage:ThreedmStage", "wavelic.threedm.training:ThreedmTask", "wavelic.threedm.export:export_stages"
)

PUBLISHED = (
    *(
        Architecture(name, "lifting", parameters, summary, "wavelic.lifting.structures:build_lifting", TRAINER)
        for name, (parameters, summary) in LIFTING_ZOO.items()
    ),
    *(
        Architecture(name, "3dm-weconvene", parameters, summary, "wavelic.threedm.config:build", _TRAINER)
        for name, (parameters, summary) in _WECONVENE.items()
    ),
    *(
        Architecture(name, "3dm", parameters, summary, "wavelic.threedm.config:build", _TRAINER)
        for name, (parameters, summary) in _CODED.items()
    ),
)
