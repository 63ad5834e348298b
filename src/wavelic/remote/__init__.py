"""Byte ranges of data in memory, a local file, a web server, or anything fsspec reaches.

The two ranges of the example lie so close that one request fetches both, with the bytes between them.

Examples:
    >>> with open_source(b"0123456789") as source:
    ...     source.read_spans([(0, 2), (7, 9)]), source.size, source.bytes_read
    ([b'01', b'78'], 10, 9)
"""

from wavelic.remote.opening import is_url, open_source
from wavelic.remote.policy import DEFAULT_POLICY, Policy, RangeWarning
from wavelic.remote.source import Source, merge_spans

__all__ = ["DEFAULT_POLICY", "Policy", "RangeWarning", "Source", "is_url", "merge_spans", "open_source"]
