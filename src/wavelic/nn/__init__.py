"""Network layers: wavelet convolutions for any network, and what the codecs' networks share.

``from wavelic.nn import WaveletConv`` needs torch and loads no codec.
"""

from wavelic.nn.gdn import GDN
from wavelic.nn.replace import replace_strided
from wavelic.nn.wavelet_conv import WaveletConv
from wavelic.nn.wt_conv import WTConv2d

__all__ = ["GDN", "WTConv2d", "WaveletConv", "replace_strided"]
