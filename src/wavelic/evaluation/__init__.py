"""Measurement of codecs: metrics, anchors, BD-rate, a runner that continues where it stopped, tables and a report.

Importing this package imports none of its modules; `from wavelic.evaluation.runner import evaluate` and the like bring
only what they need.  docs/evaluation.md states the rules.
"""
