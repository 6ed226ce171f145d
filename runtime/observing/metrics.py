"""What every process tells Prometheus of itself: its version, its memory and processor, its event loop, its database.

Names begin with ``manage_``, and say their unit: seconds, bytes, what is counted. No label names a depot, a person or
anything else of which there may be any number (docs/decisions/0045-metrics.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Mapping
from contextlib import asynccontextmanager, contextmanager

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from runtime.supervision import supervised
from runtime.temporal import temporal_metrics
from runtime.version import version

NAMESPACE = "manage"
CONTENT_TYPE = CONTENT_TYPE_LATEST
_LOOK_EVERY = 0.5
"""Seconds between two looks at how late the event loop is."""
_LAGS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


def new_registry() -> CollectorRegistry:
    """A registry with what is known of the process itself."""
    # When a counter was made is a series of its own for each, which nobody reads.
    disable_created_metrics()
    registry = CollectorRegistry()
    ProcessCollector(namespace=NAMESPACE, registry=registry)
    build = Gauge("build_info", "1, with the version of the product", ["version"], NAMESPACE, registry=registry)
    build.labels(version()).set(1)
    return registry


def metrics_text(registry: CollectorRegistry) -> bytes:
    """Everything that the process tells Prometheus, with what Temporal's SDK has to say beside it.

    It waits for that, a few milliseconds: not to be called on the event loop.
    """
    return generate_latest(registry) + temporal_metrics()


@contextmanager
def registered(registry: CollectorRegistry, *collectors: Collector) -> Generator[None]:
    """Have the registry ask these collectors while the block runs."""
    for each in collectors:
        registry.register(each)
    try:
        yield
    finally:
        for each in collectors:
            registry.unregister(each)


@asynccontextmanager
async def measuring_lag(registry: CollectorRegistry) -> AsyncGenerator[None]:
    """Measure how late the event loop runs what is due, while the block runs."""
    lag = Histogram(
        "event_loop_lag_seconds",
        "How much later than due the event loop of the process ran, looked at twice a second",
        namespace=NAMESPACE, buckets=_LAGS, registry=registry,
    )  # fmt: skip

    async def look() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _LOOK_EVERY
            await asyncio.sleep(_LOOK_EVERY)
            lag.observe(max(0.0, loop.time() - due))

    try:
        async with supervised("event loop lag", look):
            yield
    finally:
        registry.unregister(lag)


class PoolCollector(Collector):
    """The connections that a process has to PostgreSQL."""

    def __init__(self, count: Callable[[], Mapping[str, int]], limit: int) -> None:
        """Take what counts them by their state, and how many there may be."""
        self._count = count
        self._limit = limit

    def collect(self) -> Iterable[Metric]:
        """Count them."""
        connections = GaugeMetricFamily(
            f"{NAMESPACE}_database_connections", "Connections to PostgreSQL by whether work has them", labels=["state"]
        )
        for state, count in self._count().items():
            connections.add_metric([state], count)
        yield connections
        yield GaugeMetricFamily(
            f"{NAMESPACE}_database_connections_limit",
            "Connections to PostgreSQL that the process may have",
            self._limit,
        )
