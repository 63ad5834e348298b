"""Counters of the server for Prometheus, in the text format that its client library writes."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from wavelic import __version__
from wavelic.serving.cache import ByteCache
from wavelic.serving.workers import Workers

#: Upper bounds of the histogram of answer times, in seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """Requests answered, and the state of cache and queue at the time they are asked for.

    Args:
        cache: of the site.
        workers: the decoding threads.
    """

    def __init__(self, cache: ByteCache, workers: Workers) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_State(cache, workers))
        ProcessCollector(registry=self._registry)
        self._requests = Counter("wavelic_requests", "Requests answered.", ["kind", "status"], registry=self._registry)
        self._sent = Counter("wavelic_sent_bytes", "Bytes of bodies sent.", ["kind"], registry=self._registry)
        self._seconds = Histogram(
            "wavelic_request_seconds",
            "Time to the end of an answer.",
            ["kind"],
            buckets=_SECONDS,
            registry=self._registry,
        )

    def count(self, kind: str, status: int, sent: int, seconds: float) -> None:
        """Count one answer.

        Args:
            kind: what was asked for, one of few names.
            status: of the answer, 499 for a client that left.
            sent: bytes of its body.
            seconds: from the request to the end of the answer.
        """
        self._requests.labels(kind, str(status)).inc()
        self._sent.labels(kind).inc(sent)
        self._seconds.labels(kind).observe(seconds)

    def text(self, accept: str) -> tuple[bytes, str]:
        """Write all counters.

        Args:
            accept: the ``Accept`` header, which may ask for OpenMetrics.

        Returns:
            The body and its content type.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _State(Collector):
    """Values that others keep, read when they are asked for."""

    def __init__(self, cache: ByteCache, workers: Workers) -> None:
        self._cache, self._workers = cache, workers

    def collect(self) -> Iterator[Metric]:
        """Yield a family for each value."""
        state = self._cache.state
        yield InfoMetricFamily("wavelic", "The version that runs.", {"version": __version__})
        yield GaugeMetricFamily("wavelic_jobs", "Decodes that run or wait for a thread.", self._workers.jobs)
        yield GaugeMetricFamily("wavelic_job_limit", "Decodes above which requests get 503.", self._workers.most)
        yield GaugeMetricFamily("wavelic_cache_bytes", "Bytes in the cache.", state.bytes)
        yield GaugeMetricFamily("wavelic_cache_capacity_bytes", "Bytes the cache may hold.", state.capacity)
        yield GaugeMetricFamily("wavelic_cache_entries", "Windows, files and headers in the cache.", state.entries)
        yield CounterMetricFamily("wavelic_cache_hits", "Look-ups that found something.", state.hits)
        yield CounterMetricFamily("wavelic_cache_misses", "Look-ups that found nothing.", state.misses)
