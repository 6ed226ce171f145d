"""The search attributes by which Temporal's UI and CLI find a workflow at a glance."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

DEPOT_ID = SearchAttributeKey.for_keyword("DepotId")
"""The depot that a workflow works for."""
JOB_KIND = SearchAttributeKey.for_keyword("JobKind")
"""What a workflow is for: ``SYNC``, ``BACKFILL``, …"""
OUTCOME = SearchAttributeKey.for_keyword("Outcome")
"""What a workflow came to."""

SEARCH_ATTRIBUTES: dict[str, str] = {DEPOT_ID.name: "Keyword", JOB_KIND.name: "Keyword", OUTCOME.name: "Keyword"}
"""Every search attribute that the workflows set, with its type."""
