"""The stable codes by which the product refuses something, and the error that carries one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from domain.violations import Violation


class ProblemCode(StrEnum):
    """Why a request, a line or a change was refused. A code never changes its meaning."""

    INVALID_REQUEST = "INVALID_REQUEST"
    """The request does not have the documented form."""
    BODY_TOO_LARGE = "BODY_TOO_LARGE"
    """The body is larger than the route takes."""
    BODY_TOO_SLOW = "BODY_TOO_SLOW"
    """The body came in more slowly than is waited for."""
    TOO_MANY_IMPORTS = "TOO_MANY_IMPORTS"
    """So many fleet imports go on that this one was not begun. Sending it again later is right."""
    INVALID_NAME = "INVALID_NAME"
    """A name is blank, longer than allowed, or holds what no text may hold."""
    INVALID_TIMEZONE = "INVALID_TIMEZONE"
    """The time zone is not in the IANA database."""
    DEPOT_NOT_FOUND = "DEPOT_NOT_FOUND"
    CIRCUIT_NOT_FOUND = "CIRCUIT_NOT_FOUND"
    MICROGRID_NOT_FOUND = "MICROGRID_NOT_FOUND"
    BACKFILL_NOT_FOUND = "BACKFILL_NOT_FOUND"
    GATEWAY_NOT_FOUND = "GATEWAY_NOT_FOUND"
    DEVICE_NOT_FOUND = "DEVICE_NOT_FOUND"
    POWER_SOURCE_NOT_FOUND = "POWER_SOURCE_NOT_FOUND"
    SENSOR_ACTION_NOT_FOUND = "SENSOR_ACTION_NOT_FOUND"
    REMEDIATION_NOT_FOUND = "REMEDIATION_NOT_FOUND"
    BINDING_NOT_FOUND = "BINDING_NOT_FOUND"
    PARENT_NOT_FOUND = "PARENT_NOT_FOUND"
    """The parent circuit does not exist in this depot (it may exist in another)."""
    CIRCUIT_CYCLE = "CIRCUIT_CYCLE"
    """The change would make a circuit its own ancestor."""
    CIRCUIT_HAS_CHILDREN = "CIRCUIT_HAS_CHILDREN"
    """A circuit with children is deleted only when the caller asks for the cascade."""
    CIRCUIT_TREE_TOO_DEEP = "CIRCUIT_TREE_TOO_DEEP"
    """The change would nest circuits deeper than the allowed depth."""
    TOO_MANY_CIRCUITS = "TOO_MANY_CIRCUITS"
    """The depot would have more circuits than a depot may have."""
    IMPORT_INTERRUPTED = "IMPORT_INTERRUPTED"
    """The fleet import was broken off while it landed. Every depot is there whole or not at all."""
    BACKFILL_NOT_RUNNING = "BACKFILL_NOT_RUNNING"
    """The backfill has ended, so it cannot be paused, resumed or cancelled."""
    SYNC_TIMED_OUT = "SYNC_TIMED_OUT"
    """The sync was accepted but did not answer in time: no worker may be running. It will still happen."""
    SYNC_FAILED = "SYNC_FAILED"
    """The sync failed in a way that trying it again does not change. The depot's provisioning says so, too."""
    TEMPORAL_UNAVAILABLE = "TEMPORAL_UNAVAILABLE"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    """The database cannot be reached. Nothing was changed."""
    DATABASE_BUSY = "DATABASE_BUSY"
    """The database is there and could not serve the request in time. Nothing was changed."""
    IDEMPOTENCY_KEY_IN_USE = "IDEMPOTENCY_KEY_IN_USE"
    """A request with the same idempotency key is being answered at this moment."""
    IDEMPOTENCY_KEY_REUSED = "IDEMPOTENCY_KEY_REUSED"
    """Another request came with the same idempotency key before."""
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    """The database was lost while it stored the change: the change holds whole, or not at all."""
    INVALID_CURSOR = "INVALID_CURSOR"
    """The cursor did not come from this list."""
    ACCESS_REFUSED = "ACCESS_REFUSED"
    """The caller is not on a network that may act as the local administrator."""
    CROSS_SITE_REFUSED = "CROSS_SITE_REFUSED"
    """A page of another origin tried to change something."""
    INVALID_JSON = "INVALID_JSON"
    """The body is not one JSON document in UTF-8, so nothing in it could be read."""
    INVALID_PACKET = "INVALID_PACKET"
    """The document breaks the packet contract; the violations say where."""
    TIMESTAMP_IN_FUTURE = "TIMESTAMP_IN_FUTURE"
    """The time of measurement is further ahead than a clock may be wrong."""
    TIMESTAMP_TOO_OLD = "TIMESTAMP_TOO_OLD"
    """The time of measurement is older than a late message may be."""
    INVALID_CAPABILITY_VALUE = "INVALID_CAPABILITY_VALUE"
    """Neither true nor false nor null, which is all that a capability's value may be."""
    INVALID_EVENT_REF = "INVALID_EVENT_REF"
    """The provider event reference is blank, overlong, or holds what no text may hold."""
    INVALID_SENSOR_ACTION = "INVALID_SENSOR_ACTION"
    """The sensor action was given what it does not take, or not given what it needs."""
    UNKNOWN_DEVICE = "UNKNOWN_DEVICE"
    """A packet's ``device_id`` is no gateway device that the product knows."""
    FOREIGN_GATEWAY = "FOREIGN_GATEWAY"
    """The packet is of another gateway than the one that sent it."""
    TOO_MANY_PACKETS = "TOO_MANY_PACKETS"
    """So many packets wait that none of these was taken. Sending them again later is right."""
    DEVICE_NOT_IN_DEPOT = "DEVICE_NOT_IN_DEPOT"
    """The device does not exist in this depot (it may exist in another)."""
    INVALID_OUTPUT_TRANSLATION = "INVALID_OUTPUT_TRANSLATION"
    """A gateway's output translation holds what cannot be stored, or is longer than it may be."""
    CIRCUIT_NOT_IN_DEPOT = "CIRCUIT_NOT_IN_DEPOT"
    """The circuit does not exist in this depot (it may exist in another)."""
    GATEWAY_NOT_IN_DEPOT = "GATEWAY_NOT_IN_DEPOT"
    """The gateway does not exist in the device's depot (it may exist in another)."""
    SENSOR_ID_TAKEN = "SENSOR_ID_TAKEN"
    """Another device of the gateway has this sensor id."""
    GATEWAY_HAS_DEVICES = "GATEWAY_HAS_DEVICES"
    """A gateway with devices is deleted only when the caller asks for the cascade."""
    SENSOR_ACTION_EXISTS = "SENSOR_ACTION_EXISTS"
    """The device has a sensor action of this kind already."""
    CAPABILITY_OWNED = "CAPABILITY_OWNED"
    """Another sensor action of the depot, which is switched on, publishes the capability."""
    INVALID_CONTROLLER_BINDING = "INVALID_CONTROLLER_BINDING"
    """The binding cannot be like this; the violations say everything that is wrong, each with a code of its own."""
    UNKNOWN_CONTROLLER = "UNKNOWN_CONTROLLER"
    """No table of a controller has this name."""
    UNSUPPORTED_BY_REVISION = "UNSUPPORTED_BY_REVISION"
    """The controller's revision lacks the measurand of a capability that the device is bound to supply."""
    VERSION_CONFLICT = "VERSION_CONFLICT"
    """What was to be changed has changed since the caller read it."""
    DELETION_CHANGED = "DELETION_CHANGED"
    """What goes with a deletion has changed since somebody agreed to it."""
    SCENARIO_NOT_FOUND = "SCENARIO_NOT_FOUND"
    INVALID_SCENARIO = "INVALID_SCENARIO"
    """The scenario breaks the rules of its language; the violations say where."""
    SCENARIO_NOT_CONFIGURED = "SCENARIO_NOT_CONFIGURED"
    """The depot's configuration lacks what the scenario drives."""
    RUN_NOT_FOUND = "RUN_NOT_FOUND"
    RUN_IN_PROGRESS = "RUN_IN_PROGRESS"
    """Another scenario run goes on in the depot."""
    RUN_NOT_RUNNING = "RUN_NOT_RUNNING"
    """The scenario run has ended, so it cannot be paused, resumed or cancelled."""
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


def problem_type(code: ProblemCode) -> str:
    """Name a kind of problem as RFC 9457's ``type`` does: a URN that never changes."""
    return f"urn:problem:{code.lower().replace('_', '-')}"


def problem_title(code: ProblemCode) -> str:
    """Say a code in words, for RFC 9457's ``title``."""
    return code.replace("_", " ").capitalize()


class Problem(Exception):
    """A refusal: a stable ``code`` and a ``detail`` that tells a person what to do about it."""

    def __init__(
        self,
        code: ProblemCode,
        detail: str,
        field: str | None = None,
        *,
        violations: Sequence[Violation] = (),
        context: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.field = field
        """The request's field that the refusal is about, where there is one."""
        self.violations = tuple(violations)
        """Everything that is wrong with the request's document, where that is the reason."""
        self.context = context
        """What a program needs to go on: the state that stands in the way, by the names of the API."""
