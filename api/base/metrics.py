"""What an API process counts of its own, and the figures of the database that it tells Prometheus beside that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.types import Scope

from runtime.observing.metrics import NAMESPACE, new_registry
from store.base.database import FAILURES
from store.figures import FAMILIES, Figure, read_figures
from telemetry.ingest import DoorMetrics

_TIMES = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
UNMATCHED = "unmatched"
"""The route of requests that were refused before one was found, or that none is for."""
TEMPLATE = "manage.route"
"""Where a scope has the template of its route, where that was not the framework's to find."""


class ApiMetrics:
    """What happens in one API process, counted as it happens."""

    def __init__(self) -> None:
        self.registry = new_registry()
        self.door = DoorMetrics(self.registry)
        self.imports = Counter(
            "imports", "Imports of fleets by what became of them: STORED, CUT_OFF, INTERRUPTED", ["result"],
            NAMESPACE, registry=self.registry,
        )  # fmt: skip
        self.imports_running = Gauge(
            "imports_running", "Imports of fleets that go on", namespace=NAMESPACE, registry=self.registry
        )
        self._requests = Histogram(
            "http_request_duration_seconds",
            "From a request's arrival to the beginning of its answer, by the template of its route",
            ["method", "route", "status"], NAMESPACE, buckets=_TIMES, registry=self.registry,
        )  # fmt: skip
        self._children: dict[tuple[str, str, int], Histogram] = {}

    def observe_request(self, scope: Scope, status: int, seconds: float) -> str:
        """Count a request whose answer begins; answer with the template of its route."""
        method, template = scope["method"], _template(scope)
        key = (method if method in _METHODS else "OTHER", template, status)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = self._requests.labels(*map(str, key))
        found.observe(seconds)
        return template


def _template(scope: Scope) -> str:
    template = scope.get(TEMPLATE) or getattr(scope.get("route"), "path", None)
    return template if isinstance(template, str) and template else UNMATCHED


class DatabaseFigures(Collector):
    """Figures of the database as they were when ``read`` was last told them. Every API process tells the same ones."""

    KEPT = 5.0
    """Seconds for which what was read is told again: so several who scrape at once ask the database once."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._reading = asyncio.Lock()
        self._read_at = float("-inf")
        self._figures: Sequence[Figure] | None = None

    async def read(self) -> None:
        """Read them, unless that was done just now. Where the database does not tell, there are none."""
        async with self._reading:
            if time.monotonic() - self._read_at < self.KEPT:
                return
            try:
                self._figures = await read_figures(self._engine)
                self._read_at = time.monotonic()
            except FAILURES:
                self._figures = None

    def collect(self) -> Iterable[Metric]:
        """Tell them."""
        figures = self._figures
        yield GaugeMetricFamily(
            f"{NAMESPACE}_database_up", "1: the figures of the database were read; 0: it is away, busy or not migrated",
            0 if figures is None else 1,
        )  # fmt: skip
        for family in FAMILIES if figures is not None else ():
            told = GaugeMetricFamily(f"{NAMESPACE}_{family.name}", family.help, labels=family.labels)
            for each in figures or ():
                if each.name == family.name:
                    told.add_metric(each.labels, each.value)
            yield told
