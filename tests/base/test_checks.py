"""What the tables check is what the domain says: states, kinds and lengths stand once, and no list is forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlalchemy import CheckConstraint

from domain.access.gateway_secrets import Slot
from domain.access.grants import GranteeKind
from domain.access.people import MAX_STORED_NAME_LENGTH, MAX_SUB_LENGTH
from domain.access.roles import Role
from domain.base.jobs import JobState
from domain.base.names import MAX_CONTROLLER_LENGTH, MAX_ID_LENGTH, MAX_NAME_LENGTH, MAX_REGION_LENGTH
from domain.monitoring.capabilities import CapabilityStatus, FoldEffect
from domain.monitoring.freshness import DepotFreshness
from domain.provisioning.backfill import BackfillOutcome
from domain.provisioning.outcomes import ProvisioningState
from domain.simulation.scenario_runs import RunOutcome
from domain.site.circuit_capacity import CapacityMode
from domain.site.routing import PowerSourceKind
from domain.site.sensor_actions import SensorActionKind
from store.access.tables import MAX_SUBJECT_LENGTH
from store.schema import metadata
from store.site.capacities import RELEASED

VALUES = {
    "backfills_state": {*JobState},
    "backfill_outcomes_outcome": {*BackfillOutcome},
    "capability_events_effect": {*FoldEffect},
    "capability_events_status": {*CapabilityStatus},
    "capability_latest_status": {*CapabilityStatus},
    "capacity_events_mode": {*CapacityMode, RELEASED},
    "circuit_capacities_mode": {*CapacityMode},
    "depot_list_freshness": {*DepotFreshness},
    "depots_provisioning": {*ProvisioningState},
    "exports_state": {*JobState},
    "gateway_secrets_slot": {*Slot},
    "grants_kind": {*GranteeKind},
    "grants_role": {*Role},
    "imports_state": {*JobState},
    "power_sources_kind": {*PowerSourceKind},
    "retention_floors_name": {"history", "journal"},
    "scenario_runs_finished": {state for state in JobState if not state.ended},
    "scenario_runs_outcome": {*RunOutcome},
    "scenario_runs_state": {*JobState},
    "sensor_actions_action": {*SensorActionKind},
}
LENGTHS = {
    "api_tokens_name": MAX_NAME_LENGTH,
    "saved_views_name": MAX_NAME_LENGTH,
    "circuits_name": MAX_NAME_LENGTH,
    "depots_name": MAX_NAME_LENGTH,
    "depots_region": MAX_REGION_LENGTH,
    "devices_controller": MAX_CONTROLLER_LENGTH,
    "devices_name": MAX_NAME_LENGTH,
    "devices_sensor_id": MAX_ID_LENGTH,
    "gateways_name": MAX_NAME_LENGTH,
    "grants_name": MAX_NAME_LENGTH,
    "grants_subject": MAX_SUBJECT_LENGTH,
    "people_name": MAX_STORED_NAME_LENGTH,
    "people_sub": MAX_SUB_LENGTH,
    "power_sources_name": MAX_NAME_LENGTH,
}


def found(pattern: str) -> Iterator[tuple[str, str]]:
    """What every check of the tables has of a pattern, by the check's name."""
    for table in metadata.sorted_tables:
        for check in table.constraints:
            if isinstance(check, CheckConstraint):
                for match in re.findall(pattern, str(check.sqltext)):
                    yield str(check.name), match


def test_every_list_of_values_is_the_domain_s() -> None:
    lists = {name: set(re.findall(r"'([^']*)'", values)) for name, values in found(r" IN \(([^)]*)\)")}
    assert lists == VALUES


def test_every_length_is_the_domain_s() -> None:
    assert {name: int(length) for name, length in found(r"char_length\(\w+\) <= (\d+)")} == LENGTHS
