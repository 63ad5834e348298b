"""Published lifting structures that are not shipped as a codec: predict-update, update-predict, fused, other hybrids.

Li, Naman and Taubman, *Exploration of learned lifting-based transform structures for fully scalable and accessible
wavelet-like image compression* (arXiv 2402.18761), and the iWave networks they compare with.  Importing this package
makes their names known to `wavelic.lifting.structures.build_lifting`; they are trained and scored as the shipped
structure is. It loads no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from wavelic.lifting.structures import register_structures

#: Name -> number of weights, and a line of description.
LIFTING_ZOO: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "PO-P-U": (68_868, "predict-update, proposal-opacity operators"),
        "iWave-P-U": (116_352, "predict-update, iWave operators"),
        "iWave++-P-U": (19_780, "predict-update, iWave++ operators"),
        "PO-U-P": (17_217, "update-predict, proposal-opacity operator"),
        "iWave-U-P": (29_088, "update-predict, iWave operator"),
        "PO-Hybrid(9/7)": (61_938, "9/7 with learned high-to-low and low-to-high steps"),
        "Hybrid(5/3)-5c": (35_610, "5/3 with learned steps, 5 channels"),
        "Hybrid(9/7)-5c": (35_610, "9/7 with learned steps, 5 channels"),
        "Hybrid(5/3)-9c": (61_938, "5/3 with learned steps, 9 channels"),
        "Hybrid(9/7)-9c": (61_938, "9/7 with learned steps, 9 channels"),
        "Hybrid(9/7)-9c-compact": (34_074, "9/7 with learned steps of compact support, 9 channels"),
        "Custom-4S-5c": (39_060, "four learned steps, separable, 5 channels"),
        "Custom-4MS-5c": (54_135, "four learned steps, mixed, 5 channels"),
        "Custom-5S-5c": (74_670, "five learned steps, 5 channels"),
        "Custom-4S-9c": (68_868, "four learned steps, separable, 9 channels"),
        "Custom-4MS-9c": (94_923, "four learned steps, mixed, 9 channels"),
        "Custom-5S-9c": (130_806, "five learned steps, 9 channels"),
    }
)
register_structures(LIFTING_ZOO, "wavelic.papers.lifting_zoo.structures:build_level")
