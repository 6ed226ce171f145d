"""Every kind of job."""

from __future__ import annotations

from typing import Any

from reconciliation.backfills import BACKFILLS
from reconciliation.exports import EXPORTS
from reconciliation.imports import IMPORTS
from reconciliation.reconcile import Jobs
from reconciliation.scenario_runs import SCENARIO_RUNS

ALL_JOBS: tuple[Jobs[Any, Any], ...] = (SCENARIO_RUNS, BACKFILLS, IMPORTS, EXPORTS)
