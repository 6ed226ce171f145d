"""The OpenAPI document: what every operation has, made in one place, so that outside tools read the API well.

Operations are named by what they do: a verb and what it is done to. Bodies are components with a name. A field or
parameter without a description gets it from ``api.edge.glossary``. Tests hold that nothing is without.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import Route

from api.base.problems import OF_BODIES
from api.edge.glossary import MEANINGS
from domain.access.routes import OPERATIONS, Reach

SERVERS = [{"url": "/", "description": "The server that this document was read from."}]

TAGS = {
    "depots": "Electric-bus depots, and the import of a fleet of them.",
    "imports": "Imports of a fleet's file as jobs, and their reports.",
    "circuits": "The circuits of a depot: a tree that the microgrid follows, and the capacity of each.",
    "microgrids": "The microgrid of a depot, its grid connections, and Resync, which repairs it.",
    "gateways": "Field gateways, which send the packets.",
    "devices": "Devices behind a gateway: meters and controllers.",
    "power sources": "Batteries, solar plants and generators.",
    "sensor actions": "What is done with the measurands of a device.",
    "controller bindings": "Which device supplies which capability of a microgrid.",
    "telemetry": "The packets of gateways: sent, and read back.",
    "capability status": "Whether peak shaving and the limit of DER export are on, and how fresh that is.",
    "overview": "What of a fleet needs attention, the worst first.",
    "load": "Load and capacity of a depot's circuits over time.",
    "series": "Measurands over time, with what held beside them.",
    "exports": "Readings and histories as files of CSV or Parquet.",
    "remediations": "What stops updates, and what to do about it.",
    "backfills": "Backfills: every depot gets its microgrid.",
    "scenarios": "The scenarios of the depot simulation.",
    "scenario runs": "Runs of scenarios, with their evidence.",
    "grants": "Who has which role, at one depot or at all of them.",
    "tokens": "API tokens, by which scripts and CI prove who made them.",
    "sessions": "Who is signed in on the pages, since when and from where.",
    "views": "Saved views: what the list of depots is asked for, kept under a name.",
    "journal": "Who did what to what, when and from where.",
    "temporal": "What Temporal's UI and command line ask to show encrypted payloads.",
    "health": "How the process does.",
}

_NOUNS = {
    "depots": ("depot", "depots"),
    "circuits": ("circuit", "circuits"),
    "capacities": ("circuit_capacity", "circuit_capacities"),
    "microgrids": ("microgrid", "microgrids"),
    "gateways": ("gateway", "gateways"),
    "gateway_secrets": ("gateway_secret", "gateway_secrets"),
    "devices": ("device", "devices"),
    "power_sources": ("power_source", "power_sources"),
    "sensor_actions": ("sensor_action", "sensor_actions"),
    "controller_bindings": ("controller_binding", "controller_bindings"),
    "telemetry": ("packet", "packets"),
    "capability_status": ("capability_status", "capability_statuses"),
    "overview": ("overview", "overviews"),
    "load": ("depot_load", "depot_loads"),
    "series": ("series", "series"),
    "export_jobs": ("export", "exports"),
    "remediations": ("remediation", "remediations"),
    "retirement": ("depot", "depots"),
    "set_up": ("depot_set_up", "depot_set_ups"),
    "import_jobs": ("import", "imports"),
    "backfills": ("backfill", "backfills"),
    "scenarios": ("scenario", "scenarios"),
    "scenario_runs": ("scenario_run", "scenario_runs"),
    "grants": ("grant", "grants"),
    "sessions": ("session", "sessions"),
    "journal": ("journal", "journal"),
    "api_tokens": ("api_token", "api_tokens"),
    "saved_views": ("saved_view", "saved_views"),
}
"""What the routes of a module are about: one, and several."""
_VERBS = {"read": "get", "change": "update", "remove": "delete"}
_IDS = {
    "fleet_import.import_fleet": "import_fleet",
    "import_jobs.refusals": "list_import_refusals",
    "import_jobs.report": "get_import_report",
    "microgrids.read_of_depot": "get_depot_microgrid",
    "microgrids.read_tree": "get_microgrid_structure",
    "microgrids.resync_depot": "resync_depot_microgrid",
    "circuits.deletion": "get_circuit_deletion",
    "gateways.unknown_sensors": "list_unknown_sensors",
    "gateways.deletion": "get_gateway_deletion",
    "devices.deletion": "get_device_deletion",
    "power_sources.deletion": "get_power_source_deletion",
    "sensor_actions.deletion": "get_sensor_action_deletion",
    "capacities.history": "list_circuit_capacity_history",
    "sensor_actions.schemas": "list_sensor_action_schemas",
    "controller_bindings.history": "list_controller_binding_history",
    "controller_packets.next_packet": "get_next_packet",
    "resolutions.list_resolutions": "list_device_resolutions",
    "resolutions.list_reported": "list_device_measurands",
    "telemetry.take": "send_packets",
    "overview.read_load": "get_overview_load",
    "overview.list_of_depot": "list_depot_alarms",
    "capability_status.post": "record_capability_status",
    "capability_status.latest": "get_capability_status",
    "capability_status.history": "list_capability_status_history",
    "capability_status.transitions": "list_capability_status_transitions",
    "capability_status.set_freshness_thresholds": "update_freshness_thresholds",
    "capability_status.events": "stream_microgrid_events",
    "backfills.outcomes": "list_backfill_outcomes",
    "scenario_runs.steps": "list_scenario_run_steps",
    "scenario_runs.evidence": "get_scenario_run_evidence",
    "scenario_runs.report_html": "get_scenario_run_report_html",
    "scenario_runs.report_xml": "get_scenario_run_report_xml",
    "scenario_runs.differences": "compare_scenario_runs",
    "grants.deletion": "get_grant_deletion",
    "sessions.remove_all": "delete_person_sessions",
    "sessions.shut_out": "shut_person_out",
    "health.healthz": "get_health",
    "health.readyz": "get_readiness",
    "health.metrics": "get_metrics",
}
"""Operations that do not follow from the names of a function and its module."""

LOCATIONS = {
    "check_rollups": "/api/rollups",
    "create_depot": "/api/depots/{depot_id}",
    "create_circuit": "/api/circuits/{circuit_id}",
    "create_gateway": "/api/gateways/{gateway_id}",
    "create_gateway_secret": "/api/gateways/{gateway_id}/secrets/{secret_id}",
    "create_device": "/api/devices/{device_id}",
    "create_power_source": "/api/power-sources/{power_source_id}",
    "create_sensor_action": "/api/sensor-actions/{sensor_action_id}",
    "create_grant": "/api/grants/{grant_id}",
    "create_api_token": "/api/tokens/{token_id}",
    "create_saved_view": "/api/views/{view_id}",
    "create_controller_binding": "/api/controller-bindings/{binding_id}",
    "record_capability_status": "/api/microgrids/{microgrid_id}/capability-status",
    **{f"{verb}_backfill": "/api/backfills/{backfill_id}" for verb in ("start", "pause", "resume", "cancel")},
    **{f"{verb}_export": "/api/exports/{export_id}" for verb in ("start", "pause", "resume", "cancel")},
    **{f"{verb}_import": "/api/imports/{import_id}" for verb in ("start", "pause", "resume", "cancel")},
    **{f"{verb}_scenario_run": "/api/scenario-runs/{run_id}" for verb in ("start", "pause", "resume", "cancel")},
}
"""Where what an operation made or started is found; the names are those of its path and of its answer."""

_JOBS = {"Backfill": "backfill", "Export": "export", "Import": "import", "ScenarioRun": "run"}
"""Schemas of jobs, with what each is called: clients know their state as a type of each one's own."""

_SECURITY_SCHEMES = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API token (`mgt_…`), an access token of the OpenID provider (RFC 9068) or, for packets, the "
        "secret of a gateway (`mgg_…`). The scopes of an operation are the permissions that it asks for, and `x-reach` "
        "says at which depots. Without a provider, callers on the machine itself need no token.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "__Host-manage-session",
        "description": "The session of somebody who signed in on the pages.",
    },
}

_OF_BODIES = {str(status): answer for status, answer in OF_BODIES.items()}
_BODIES = {"create": "Create", "update": "Change", "validate": "Check", "send": "ToSend"}
_SCHEMAS = "#/components/schemas/"


def operation_id(route: APIRoute) -> str:
    """Name an operation: a verb, and what it is done to."""
    package, _, module = route.endpoint.__module__.rpartition(".")
    name = route.endpoint.__name__
    if f"{module}.{name}" in _IDS:
        return _IDS[f"{module}.{name}"]
    if not package.startswith("api.") or package.startswith("api.ui") or module not in _NOUNS:
        return route.name
    one, many = _NOUNS[module]
    return f"list_{many}" if name == "list_all" else f"{_VERBS.get(name, name)}_{one}"


def install_document(app: FastAPI, schemas: Mapping[str, Any]) -> None:
    """Make the document of ``app``; ``schemas`` are further ones, that no pydantic model stands for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app, schemas)
        return app.openapi_schema

    app.openapi = openapi
    # The framework's own route asks nobody who they are: what stands before every route is not before that one.
    (own,) = (each for each in app.routes if isinstance(each, Route) and each.path == app.openapi_url)
    app.router.routes.remove(own)
    app.add_api_route(own.path, own.endpoint, name=own.name, include_in_schema=False)


def _document(app: FastAPI, schemas: Mapping[str, Any]) -> dict[str, Any]:
    document = get_openapi(
        title=app.title, version=app.version, description=app.description, routes=app.routes, servers=SERVERS,
        tags=[{"name": name, "description": description} for name, description in TAGS.items()],
    )  # fmt: skip
    components = _name_job_states(document.setdefault("components", {}).setdefault("schemas", {}))
    components.update(schemas)
    document["components"]["schemas"] = components
    document["components"]["securitySchemes"] = _SECURITY_SCHEMES
    for unused in ("HTTPValidationError", "ValidationError"):
        components.pop(unused, None)
    for name, schema in components.items():
        # Some generators name a type after its title.
        schema["title"] = name
    for operation in operations(document):
        name = operation["operationId"]
        operation["summary"] = name.replace("_", " ").capitalize()
        _name_body(operation, components)
        for status, answer in _OF_BODIES.items() if "requestBody" in operation else ():
            operation["responses"].setdefault(status, answer)
        _declare_location(operation)
        _declare_access(operation)
        for parameter in operation.get("parameters", ()):
            _explain(parameter["name"], parameter)
    _explain_properties(document)
    return document


def operations(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a document."""
    for path in document["paths"].values():
        yield from (each for each in path.values() if isinstance(each, dict) and "operationId" in each)


def _name_job_states(components: dict[str, Any]) -> dict[str, Any]:
    """Give each schema of a job its own component for the state, such as ``BackfillState``."""
    state = components.pop("JobState")
    for name, noun in _JOBS.items():
        components[f"{name}State"] = state | {"description": f"Where a {noun} stands."}
        components[name]["properties"]["state"]["$ref"] = f"{_SCHEMAS}{name}State"
    return dict(sorted(components.items()))


def _name_body(operation: dict[str, Any], components: dict[str, Any]) -> None:
    """Make a component of a body that is written where it is used: a generator names its type after it."""
    name = operation["operationId"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if "$ref" in content["schema"] or content["schema"].get("type") == "string":
            continue
        verb, _, noun = name.partition("_")
        title = noun.title().replace("_", "") + _BODIES.get(verb, "Body")
        components.setdefault(title, content["schema"] | {"title": title})
        content["schema"] = {"$ref": _SCHEMAS + title}


def _declare_location(operation: dict[str, Any]) -> None:
    if operation["operationId"] in LOCATIONS:
        (made,) = (answer for status, answer in operation["responses"].items() if status in ("201", "202"))
        made.setdefault("headers", {})["Location"] = {
            "description": "Where what was made or started is found.",
            "schema": {"type": "string", "format": "uri-reference"},
        }


def _declare_access(operation: dict[str, Any]) -> None:
    """Say what somebody needs for an operation, as the check before it asks for it."""
    access = OPERATIONS[operation["operationId"]]
    scopes = [] if access.permission is None else [access.permission.value]
    operation["security"] = [] if access.reach is Reach.PUBLIC else [{name: scopes} for name in _SECURITY_SCHEMES]
    operation["x-reach"] = access.reach.value


def _explain_properties(part: Any) -> None:
    """Tell of every property of every schema what it means."""
    if isinstance(part, list):
        for each in part:
            _explain_properties(each)
    elif isinstance(part, dict):
        properties = part.get("properties")
        for name, schema in properties.items() if isinstance(properties, dict) else ():
            _explain(name, schema)
        for key, each in part.items():
            if key not in ("example", "examples", "default", "enum", "const"):
                _explain_properties(each)


def _explain(name: str, described: dict[str, Any]) -> None:
    """Describe a property or parameter that does not describe itself."""
    meaning = MEANINGS.get(name)
    if meaning is not None and "description" not in described:
        described["description"] = meaning.description
        if meaning.example is not None and not {"examples", "example", "enum", "$ref"} & described.keys():
            described["examples" if "in" not in described else "example"] = (
                [meaning.example] if "in" not in described else meaning.example
            )
