"""Whole collections of images: a folder tree in, shards of compressed files and a report out.

The unit of work is the shard.  A task holds paths, never pixels; what it writes appears at once or not at all; what is
there already is not done again.  Importing this package loads neither numpy nor torch.
"""

from wavelic.collections.check import evaluate_collection, verify_collection
from wavelic.collections.encode import encode_collection
from wavelic.collections.job import Job
from wavelic.collections.start import ENGINES, start_engine

__all__ = ["ENGINES", "Job", "encode_collection", "evaluate_collection", "start_engine", "verify_collection"]
