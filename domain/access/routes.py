"""Which permission each route asks for, and at which depots: the one table of who may do what.

Operations of the API stand by their operation id, pages by the name of their route. The check before a route
(``api/access/authorization.py``), the security schemes of the OpenAPI document and ``docs/access.md`` come from here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from uuid import UUID

from domain.access.principals import Principal, PrincipalKind
from domain.access.roles import Permission
from domain.base.problems import ProblemCode


class Reach(StrEnum):
    """At which depots a route needs its permission (decision 0025)."""

    PUBLIC = "public"
    """It asks for nothing, not even for who somebody is."""
    SIGNED_IN = "signed in"
    """It asks for no permission, but somebody known."""
    FLEET = "fleet"
    """At all depots."""
    DEPOT = "depot"
    """At the depots that the parameters of its path name, themselves or by what belongs to them (``PARAMETERS``)."""
    NARROWED = "narrowed"
    """At any; it shows what there is at those where it is permitted."""
    BODY = "body"
    """At the depot that its body, form or query names; the route itself checks that."""


@dataclass(frozen=True)
class Access:
    """What a route asks for."""

    reach: Reach
    permission: Permission | None = None
    """None where it asks for no permission."""


class Decision(Enum):
    """Whether somebody may use a route."""

    PERMITTED = "permitted"
    REFUSED = "refused"
    """They may see what it is about, and not do this."""
    HIDDEN = "hidden"
    """What it is about does not exist for them."""


PARAMETERS: Mapping[str, ProblemCode] = {
    "depot_id": ProblemCode.DEPOT_NOT_FOUND,
    "circuit_id": ProblemCode.CIRCUIT_NOT_FOUND,
    "microgrid_id": ProblemCode.MICROGRID_NOT_FOUND,
    "gateway_id": ProblemCode.GATEWAY_NOT_FOUND,
    "device_id": ProblemCode.DEVICE_NOT_FOUND,
    "power_source_id": ProblemCode.POWER_SOURCE_NOT_FOUND,
    "sensor_action_id": ProblemCode.SENSOR_ACTION_NOT_FOUND,
    "binding_id": ProblemCode.BINDING_NOT_FOUND,
    "remediation_id": ProblemCode.REMEDIATION_NOT_FOUND,
    "run_id": ProblemCode.RUN_NOT_FOUND,
    "other_id": ProblemCode.RUN_NOT_FOUND,
}
"""The parameters of paths that name a depot or something of one, and what a missing one is refused with."""


def decide(access: Access, principal: Principal, depot_ids: Collection[UUID | None] = ()) -> Decision:
    """Decide whether a principal may use a route.

    ``depot_ids`` are the depots that the path names; None among them: it names something that does not exist.
    """
    # Who sends by a gateway's secret does nothing else with it.
    if principal.kind is PrincipalKind.GATEWAY and access is not SEND_PACKETS and access is not PUBLIC:
        return Decision.HIDDEN
    if access.permission is None:
        return Decision.PERMITTED
    if access.reach is Reach.NARROWED:
        return Decision.PERMITTED
    if access.reach is Reach.BODY:
        return Decision.REFUSED if principal.scope(access.permission).is_empty else Decision.PERMITTED
    if access.reach is Reach.FLEET:
        return Decision.PERMITTED if principal.may(access.permission, None) else Decision.REFUSED
    return decide_at(access.permission, principal, depot_ids)


def decide_at(permission: Permission, principal: Principal, depot_ids: Collection[UUID | None]) -> Decision:
    """Decide whether something is permitted at all of these depots; None among them: something that does not exist."""
    found = [depot_id for depot_id in depot_ids if depot_id is not None]
    if len(found) == len(depot_ids) and all(principal.may(permission, depot_id) for depot_id in found):
        return Decision.PERMITTED
    seen = all(principal.may(Permission.VIEW, depot_id) for depot_id in found)
    return Decision.REFUSED if seen and len(found) == len(depot_ids) else Decision.HIDDEN


def is_offered(access: Access, principal: Principal, depot_id: UUID | None) -> bool:
    """Whether a page offers what leads to a route; ``depot_id`` is the depot that it would be used at."""
    if access.permission is None:
        return True
    scope = principal.scope(access.permission)
    if access.reach is Reach.FLEET:
        return scope.everywhere
    return not scope.is_empty if depot_id is None else scope.holds(depot_id)


PUBLIC = Access(Reach.PUBLIC)
SIGNED_IN = Access(Reach.SIGNED_IN)
VIEW = Access(Reach.DEPOT, Permission.VIEW)
VIEW_NARROWED = Access(Reach.NARROWED, Permission.VIEW)
VIEW_FLEET = Access(Reach.FLEET, Permission.VIEW)
VIEW_NAMED = Access(Reach.BODY, Permission.VIEW)
OPERATE = Access(Reach.DEPOT, Permission.OPERATE)
CONFIGURE = Access(Reach.DEPOT, Permission.CONFIGURE)
CONFIGURE_FLEET = Access(Reach.FLEET, Permission.CONFIGURE)
CONFIGURE_NAMED = Access(Reach.BODY, Permission.CONFIGURE)
SIMULATE = Access(Reach.DEPOT, Permission.SIMULATE)
SIMULATE_NAMED = Access(Reach.BODY, Permission.SIMULATE)
SIMULATE_NARROWED = Access(Reach.NARROWED, Permission.SIMULATE)
AUDIT_NARROWED = Access(Reach.NARROWED, Permission.AUDIT)
ADMINISTER_NARROWED = Access(Reach.NARROWED, Permission.ADMINISTER)
ADMINISTER_FLEET = Access(Reach.FLEET, Permission.ADMINISTER)
SEND = Access(Reach.DEPOT, Permission.SEND)
SEND_PACKETS = Access(Reach.BODY, Permission.SEND)

OPERATIONS: dict[str, Access] = {
    "import_fleet": ADMINISTER_FLEET,
    "start_import": ADMINISTER_FLEET,
    "list_imports": VIEW_FLEET,
    "get_import": VIEW_FLEET,
    "list_import_refusals": VIEW_FLEET,
    "get_import_report": VIEW_FLEET,
    "pause_import": ADMINISTER_FLEET,
    "resume_import": ADMINISTER_FLEET,
    "cancel_import": ADMINISTER_FLEET,
    "not_by_another_method": SIGNED_IN,
    "readings_by_another_method": SIGNED_IN,
    "capability_history_by_another_method": SIGNED_IN,
    "capacity_history_by_another_method": SIGNED_IN,
    "remediations_by_another_method": SIGNED_IN,
    "create_depot": CONFIGURE_FLEET,
    "list_depots": VIEW_NARROWED,
    "get_depot": VIEW,
    "update_depot": CONFIGURE,
    "retire_depot": CONFIGURE,
    "restore_depot": CONFIGURE,
    "list_circuits": VIEW,
    "create_circuit": CONFIGURE,
    "get_circuit": VIEW,
    "update_circuit": CONFIGURE,
    "get_circuit_deletion": CONFIGURE,
    "delete_circuit": CONFIGURE,
    "get_circuit_capacity": VIEW,
    "list_circuit_capacity_history": VIEW,
    "get_depot_microgrid": VIEW,
    "get_microgrid": VIEW,
    "get_microgrid_structure": VIEW,
    "resync_depot_microgrid": OPERATE,
    "list_gateways": VIEW_NARROWED,
    "create_gateway": CONFIGURE_NAMED,
    "get_gateway": VIEW,
    "list_unknown_sensors": VIEW,
    "update_gateway": CONFIGURE,
    "get_gateway_deletion": CONFIGURE,
    "delete_gateway": CONFIGURE,
    "list_gateway_secrets": VIEW,
    "get_gateway_secret": VIEW,
    "create_gateway_secret": CONFIGURE,
    "delete_gateway_secret": CONFIGURE,
    "list_devices": VIEW_NARROWED,
    "create_device": CONFIGURE_NAMED,
    "get_device": VIEW,
    "update_device": CONFIGURE,
    "get_device_deletion": CONFIGURE,
    "delete_device": CONFIGURE,
    "list_device_resolutions": VIEW,
    "list_device_measurands": VIEW,
    "list_power_sources": VIEW_NARROWED,
    "create_power_source": CONFIGURE_NAMED,
    "get_power_source": VIEW,
    "update_power_source": CONFIGURE,
    "get_power_source_deletion": CONFIGURE,
    "delete_power_source": CONFIGURE,
    "list_sensor_action_schemas": SIGNED_IN,
    "list_sensor_actions": VIEW,
    "create_sensor_action": CONFIGURE,
    "get_sensor_action": VIEW,
    "update_sensor_action": CONFIGURE,
    "get_sensor_action_deletion": CONFIGURE,
    "delete_sensor_action": CONFIGURE,
    "list_controller_bindings": VIEW_NARROWED,
    "create_controller_binding": CONFIGURE_NAMED,
    "validate_controller_binding": CONFIGURE_NAMED,
    "get_controller_binding": VIEW,
    "update_controller_binding": CONFIGURE,
    "enable_controller_binding": CONFIGURE,
    "disable_controller_binding": CONFIGURE,
    "delete_controller_binding": CONFIGURE,
    "list_controller_binding_history": VIEW,
    "get_next_packet": VIEW,
    "send_packets": SEND_PACKETS,
    "list_packets": VIEW_NARROWED,
    # The word of a provider's program, as packets are that of gateways.
    "record_capability_status": SEND,
    "get_capability_status": VIEW,
    "list_capability_status_history": VIEW,
    "list_capability_status_transitions": VIEW,
    "update_freshness_thresholds": CONFIGURE,
    "stream_microgrid_events": VIEW,
    "get_overview": VIEW_NARROWED,
    "get_overview_load": VIEW_NARROWED,
    "list_depot_alarms": VIEW,
    "get_depot_set_up": VIEW,
    "get_depot_load": VIEW,
    "get_series": VIEW_NARROWED,
    "export_readings": VIEW_NARROWED,
    "export_capability_history": VIEW_NARROWED,
    "export_capacity_history": VIEW_NARROWED,
    "export_remediations": VIEW_NARROWED,
    "start_export": VIEW_NARROWED,
    # Whose exports one reads, and whether one may still see what is in them, the routes themselves decide.
    "list_exports": VIEW_NARROWED,
    "get_export": VIEW_NARROWED,
    "download_export": VIEW_NARROWED,
    "delete_export": VIEW_NARROWED,
    "pause_export": VIEW_NARROWED,
    "resume_export": VIEW_NARROWED,
    "cancel_export": VIEW_NARROWED,
    "list_remediations": VIEW_NARROWED,
    "resolve_remediation": OPERATE,
    "get_reading_upkeep": VIEW_FLEET,
    "check_rollups": ADMINISTER_FLEET,
    "start_backfill": ADMINISTER_FLEET,
    "list_backfills": VIEW_FLEET,
    "get_backfill": VIEW_FLEET,
    "list_backfill_outcomes": VIEW_FLEET,
    "pause_backfill": ADMINISTER_FLEET,
    "resume_backfill": ADMINISTER_FLEET,
    "cancel_backfill": ADMINISTER_FLEET,
    "list_scenarios": SIGNED_IN,
    "get_scenario": SIGNED_IN,
    "start_scenario_run": SIMULATE_NAMED,
    "list_scenario_runs": VIEW_NARROWED,
    "get_scenario_run": VIEW,
    "list_scenario_run_steps": VIEW,
    "get_scenario_run_evidence": VIEW,
    "get_scenario_run_report_html": VIEW,
    "get_scenario_run_report_xml": VIEW,
    "compare_scenario_runs": VIEW,
    "pause_scenario_run": SIMULATE,
    "resume_scenario_run": SIMULATE,
    "cancel_scenario_run": SIMULATE,
    "list_grants": ADMINISTER_NARROWED,
    "create_grant": ADMINISTER_FLEET,
    "validate_grant": ADMINISTER_FLEET,
    "get_grant": ADMINISTER_FLEET,
    "get_grant_deletion": ADMINISTER_FLEET,
    "delete_grant": ADMINISTER_FLEET,
    # Whose tokens one reads and revokes, and what one may give, the route itself decides (domain/access/api_tokens.py).
    "list_api_tokens": SIGNED_IN,
    "create_api_token": SIGNED_IN,
    "get_api_token": SIGNED_IN,
    "delete_api_token": SIGNED_IN,
    # A view is its person's alone.
    "list_saved_views": SIGNED_IN,
    "create_saved_view": SIGNED_IN,
    "get_saved_view": SIGNED_IN,
    "update_saved_view": SIGNED_IN,
    "delete_saved_view": SIGNED_IN,
    "list_journal": AUDIT_NARROWED,
    "list_sessions": SIGNED_IN,
    "delete_session": SIGNED_IN,
    "delete_person_sessions": ADMINISTER_FLEET,
    "shut_person_out": ADMINISTER_FLEET,
    "decode_payloads": ADMINISTER_FLEET,
    "encode_payloads": ADMINISTER_FLEET,
    "get_health": PUBLIC,
    "back_channel": PUBLIC,
    "get_protected_resource": PUBLIC,
    "get_readiness": PUBLIC,
    "get_metrics": VIEW_FLEET,
}
"""What the operations of the API ask for."""

PAGES: dict[str, Access] = {
    "sign_in": PUBLIC,
    "sign_in_callback": PUBLIC,
    "signed_in": SIGNED_IN,
    "sign_out": SIGNED_IN,
    "signed_out": PUBLIC,
    "custom_swagger_ui_html": SIGNED_IN,
    "swagger_ui_redirect": SIGNED_IN,
    "openapi": SIGNED_IN,
    "static_file": PUBLIC,
    "page_problems": SIGNED_IN,
    "live": VIEW_NAMED,
    "page_overview": VIEW_NARROWED,
    "overview_parts": VIEW_NARROWED,
    "overview_load": VIEW_NARROWED,
    "page_depots": VIEW_NARROWED,
    "depot_rows": VIEW_NARROWED,
    "page_views": SIGNED_IN,
    "page_new_view": SIGNED_IN,
    "view_save": SIGNED_IN,
    "view_rename": SIGNED_IN,
    "view_delete": SIGNED_IN,
    "page_new_depot": CONFIGURE_FLEET,
    "new_depot_circuits": CONFIGURE_FLEET,
    "create_depot": CONFIGURE_FLEET,
    "page_depot": VIEW,
    "depot_edit": CONFIGURE,
    "depot_change": CONFIGURE,
    "depot_verdict": VIEW,
    "depot_set_up": VIEW,
    "depot_retirement": CONFIGURE,
    "depot_retire": CONFIGURE,
    "depot_restoration": CONFIGURE,
    "depot_restore": CONFIGURE,
    "page_load": VIEW,
    "load_parts": VIEW,
    "capability_transitions": VIEW,
    "page_as_of": VIEW,
    "as_of_told": VIEW,
    "page_of_microgrid": VIEW,
    "page_exports": VIEW_NARROWED,
    "export_rows": VIEW_NARROWED,
    "page_new_export": VIEW_NARROWED,
    "export_start": VIEW_NARROWED,
    "export_cancel": VIEW_NARROWED,
    "export_remove": VIEW_NARROWED,
    "page_trends": VIEW_NARROWED,
    "trends_finder": VIEW_NARROWED,
    "trends_found": VIEW_NARROWED,
    "page_microgrid": VIEW,
    "microgrid_parts": VIEW,
    "microgrid_resync": OPERATE,
    "circuit_new": CONFIGURE,
    "circuit_create": CONFIGURE,
    "circuit_edit": CONFIGURE,
    "circuit_change": CONFIGURE,
    "circuit_delete": CONFIGURE,
    "circuit_remove": CONFIGURE,
    "page_controllers": VIEW,
    "controllers_parts": VIEW,
    "binding_listen": VIEW,
    "binding_history": VIEW,
    "binding_new": CONFIGURE,
    "binding_create": CONFIGURE,
    "binding_preview": CONFIGURE,
    "binding_edit": CONFIGURE,
    "binding_change": CONFIGURE,
    "binding_preview_of": CONFIGURE,
    "binding_ask": CONFIGURE,
    "binding_do": CONFIGURE,
    "page_remediations": VIEW_NARROWED,
    "remediation_rows": VIEW_NARROWED,
    "remediation_count": VIEW_NARROWED,
    "remediation_resolve": OPERATE,
    "page_devices": VIEW,
    "devices_site": VIEW,
    "gateway_new": CONFIGURE,
    "gateway_create": CONFIGURE,
    "gateway_edit": CONFIGURE,
    "gateway_change": CONFIGURE,
    "gateway_delete": CONFIGURE,
    "gateway_remove": CONFIGURE,
    "gateway_secrets": VIEW,
    "gateway_secret_create": CONFIGURE,
    "gateway_secret_ask": CONFIGURE,
    "gateway_secret_revoke": CONFIGURE,
    "power_source_new": CONFIGURE,
    "power_source_create": CONFIGURE,
    "power_source_edit": CONFIGURE,
    "power_source_change": CONFIGURE,
    "power_source_delete": CONFIGURE,
    "power_source_remove": CONFIGURE,
    "device_new": CONFIGURE,
    "device_create": CONFIGURE,
    "device_edit": CONFIGURE,
    "device_change": CONFIGURE,
    "device_delete": CONFIGURE,
    "device_remove": CONFIGURE,
    "page_device": VIEW,
    "device_parts": VIEW,
    "action_new": CONFIGURE,
    "action_create": CONFIGURE,
    "action_edit": CONFIGURE,
    "action_change": CONFIGURE,
    "action_switch": CONFIGURE,
    "action_delete": CONFIGURE,
    "action_remove": CONFIGURE,
    "page_tokens": SIGNED_IN,
    "token_rows": SIGNED_IN,
    "token_depots": VIEW_NARROWED,
    "token_new": SIGNED_IN,
    "token_create": SIGNED_IN,
    "token_ask": SIGNED_IN,
    "token_revoke": SIGNED_IN,
    "page_imports": VIEW_FLEET,
    "import_rows": VIEW_FLEET,
    "import_start": ADMINISTER_FLEET,
    "page_import": VIEW_FLEET,
    "import_progress": VIEW_FLEET,
    "import_refusals": VIEW_FLEET,
    "import_steer": ADMINISTER_FLEET,
    "page_backfills": VIEW_FLEET,
    "backfill_rows": VIEW_FLEET,
    "reading_upkeep": VIEW_FLEET,
    "backfill_start": ADMINISTER_FLEET,
    "page_backfill": VIEW_FLEET,
    "backfill_progress": VIEW_FLEET,
    "backfill_outcomes": VIEW_FLEET,
    "backfill_steer": ADMINISTER_FLEET,
    "page_scenarios": VIEW_NARROWED,
    "scenario_run_rows": VIEW_NARROWED,
    "scenario_depots": SIMULATE_NARROWED,
    "scenario_about": SIGNED_IN,
    "scenario_start": SIMULATE_NAMED,
    "page_scenario_run": VIEW,
    "scenario_run_progress": VIEW,
    "scenario_run_steps": VIEW,
    "scenario_run_steer": SIMULATE,
    "page_scenario_compare": VIEW,
    "page_journal": AUDIT_NARROWED,
    "journal_rows": AUDIT_NARROWED,
    "journal_depots": AUDIT_NARROWED,
    "page_sessions": SIGNED_IN,
    "session_rows": SIGNED_IN,
    "session_end": SIGNED_IN,
    "sessions_end": ADMINISTER_FLEET,
    "session_shut_out": ADMINISTER_FLEET,
    "token_shut_out": ADMINISTER_FLEET,
    "page_access": ADMINISTER_NARROWED,
    "access_rows": ADMINISTER_NARROWED,
    "access_people": ADMINISTER_FLEET,
    "access_depots": ADMINISTER_FLEET,
    "access_new": ADMINISTER_FLEET,
    "access_back": ADMINISTER_FLEET,
    "access_effect": ADMINISTER_FLEET,
    "access_grant": ADMINISTER_FLEET,
    "access_ask": ADMINISTER_FLEET,
    "access_revoke": ADMINISTER_FLEET,
}
"""What the pages and their parts ask for, and the documentation and files beside them."""
