"""Entropy coding with integer tables: a range coder (constriction) that gives the same bytes everywhere.

Examples:
    >>> import numpy as np
    >>> tables = gaussian_tables([0.5, 4.0])
    >>> symbols, scales = np.array([[0, -1], [7, 1000000]]), np.array([[0, 0], [1, 1]])
    >>> data = encode_symbols(symbols, scales, tables)
    >>> decode_symbols(data, scales, tables).tolist()
    [[0, -1], [7, 1000000]]
"""

from wavelic.entropy.coder import RangeDecoder, RangeEncoder, decode_symbols, encode_symbols, ideal_bits
from wavelic.entropy.distributions import factorized_tables, gaussian_scales, gaussian_tables, scale_index
from wavelic.entropy.tables import TableSet, normalize_frequencies

__all__ = [
    "RangeDecoder",
    "RangeEncoder",
    "TableSet",
    "decode_symbols",
    "encode_symbols",
    "factorized_tables",
    "gaussian_scales",
    "gaussian_tables",
    "ideal_bits",
    "normalize_frequencies",
    "scale_index",
]
