"""How pages write things down: numbers, powers, times, and the word, icon and tone of every state."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.base.clocks import is_wrong
from domain.base.jobs import JobState
from domain.base.timezones import find_timezone, known_timezones
from domain.history.exports import ExportKind
from domain.monitoring.alarms import AlarmKind
from domain.monitoring.capabilities import Capability, CapabilityStatus
from domain.monitoring.freshness import READING_THRESHOLD, DepotFreshness
from domain.provisioning.backfill import BackfillOutcome
from domain.provisioning.outcomes import NAMED_CHANGES, ProvisioningCode, ProvisioningState, SyncOutcome
from domain.provisioning.set_up import SetUpStep
from domain.simulation.scenario_runs import RunOutcome
from domain.site.circuit_capacity import CapacityMode, FailSafeReason
from domain.site.measurands import BessOperationalMode, DevicePowerState, MeasurandKey, ReadingCode
from domain.site.remediations import Mend, Severity
from domain.site.routing import PowerSourceKind, RoutingRule
from domain.site.sensor_actions import ActionTarget
from store.monitoring.statuses.transitions import MOST_UPDATES
from store.site.remediations import RemediationState


@dataclass(frozen=True)
class Badge:
    """A state as people see it: never by colour alone."""

    word: str
    icon: str
    tone: str
    """``good``, ``busy``, ``warn``, ``bad`` or ``quiet``: which colours."""


PROVISIONING = {
    ProvisioningState.PROVISIONED: Badge("Provisioned", "circle-check", "good"),
    ProvisioningState.PENDING: Badge("Pending", "clock", "warn"),
    ProvisioningState.FAILED: Badge("Failed", "circle-x", "bad"),
}
NAMED = NAMED_CHANGES
"""How many grid connections of a kind are named."""
FAILURE = {
    ProvisioningCode.NO_TOP_LEVEL_CIRCUITS: "No top-level circuit",
    ProvisioningCode.SYNC_FAILED: "The last sync failed",
}
JOB = {
    JobState.RUNNING: Badge("Running", "loader-circle", "busy"),
    JobState.PAUSED: Badge("Paused", "pause", "warn"),
    JobState.COMPLETED: Badge("Completed", "circle-check", "good"),
    JobState.CANCELLED: Badge("Cancelled", "circle-slash", "quiet"),
    JobState.FAILED: Badge("Failed", "circle-x", "bad"),
}
OUTCOME = {
    BackfillOutcome.CREATED: Badge("Created", "plus", "good"),
    BackfillOutcome.ALREADY_PROVISIONED: Badge("Already provisioned", "check", "quiet"),
    BackfillOutcome.NO_TOP_LEVEL_CIRCUITS: Badge("No top-level circuit", "circle-x", "bad"),
}
DRY_OUTCOME = OUTCOME | {BackfillOutcome.CREATED: Badge("Would be created", "plus", "good")}
SYNC = {
    SyncOutcome.CREATED: Badge("Microgrid created", "circle-check", "good"),
    SyncOutcome.CHANGED: Badge("Microgrid repaired", "circle-check", "good"),
    SyncOutcome.UNCHANGED: Badge("Nothing to change", "check", "quiet"),
    SyncOutcome.NO_TOP_LEVEL_CIRCUITS: Badge("No top-level circuit", "circle-x", "bad"),
    SyncOutcome.DEPOT_GONE: Badge("The depot was deleted", "circle-x", "bad"),
    SyncOutcome.DEPOT_RETIRED: Badge("The depot is retired", "circle-slash", "quiet"),
}

RETIRED = Badge("Retired", "circle-slash", "quiet")
FRESH = Badge("Fresh", "circle-check", "good")
STALE = Badge("Stale", "triangle-alert", "warn")
ABOVE_CAPACITY = Badge("Above its capacity", "triangle-alert", "bad")
OLD = Badge("Old", "triangle-alert", "warn")
NOT_UPDATING = Badge("Not updating", "circle-slash", "quiet")
FRESHNESS = {
    DepotFreshness.FRESH: FRESH,
    DepotFreshness.STALE: STALE,
    DepotFreshness.NONE: Badge("No status", "circle-dashed", "quiet"),
}
ALARM = {
    AlarmKind.CONTROLLER_SILENT: Badge("Controller silent", "clock", "bad"),
    AlarmKind.FAIL_SAFE: Badge("In fail-safe", "triangle-alert", "bad"),
    AlarmKind.PROVISIONING_FAILED: Badge("Provisioning failed", "circle-x", "warn"),
    AlarmKind.REMEDIATION_OPEN: Badge("Remediation open", "circle-alert", "warn"),
    AlarmKind.STATUS_STALE: Badge("Status stale", "triangle-alert", "warn"),
}
ALARM_FILTERS = (AlarmKind.CONTROLLER_SILENT, AlarmKind.FAIL_SAFE, AlarmKind.REMEDIATION_OPEN)
"""Those that a list is narrowed down to where provisioning and freshness are filters of their own."""
LASTS = (AlarmKind.CONTROLLER_SILENT, AlarmKind.STATUS_STALE)
"""The alarms that say how long they have lasted wherever they are told."""
CAPABILITY = {each: each.label for each in Capability}
MEANING = {
    (Capability.DER, CapabilityStatus.ON): "Export to the grid: limited",
    (Capability.DER, CapabilityStatus.OFF): "Export to the grid: not limited",
}
"""What a status means for the site, where its name does not say it."""
EXPORT = {
    ExportKind.READINGS: "Readings of all devices",
    ExportKind.CAPABILITY_HISTORY: "Capability history",
    ExportKind.CAPACITY_HISTORY: "Capacity history",
    ExportKind.REMEDIATIONS: "Remediations",
}
SHORT_CAPABILITY = {each: each.short_label for each in Capability}
CAPACITY = {
    CapacityMode.CONTROLLER: Badge("Controller", "circle-check", "good"),
    CapacityMode.FAIL_SAFE: Badge("Fail-safe", "triangle-alert", "warn"),
    CapacityMode.AWAITING: Badge("Awaiting", "clock", "quiet"),
}
REMEDIATION = {
    RemediationState.OPEN: Badge("Open", "triangle-alert", "warn"),
    RemediationState.CLOSED: Badge("Closed", "circle-check", "quiet"),
}
MENDED = Badge("Mended, waiting for a packet", "clock", "quiet")
SEVERITY = {
    Severity.HIGH: Badge("High", "circle-alert", "bad"),
    Severity.MEDIUM: Badge("Medium", "triangle-alert", "warn"),
    Severity.LOW: Badge("Low", "triangle-alert", "quiet"),
}
FOLLOWS = {
    Severity.HIGH: "what may be drawn on a circuit is not set by its controller",
    Severity.MEDIUM: "the status of the site's capabilities is not shown",
    Severity.LOW: "readings of a power source are not kept",
}
"""What follows while a remediation of a severity stays open."""
MEND = {
    Mend.LINK_DEVICE: "Choose its circuit",
    Mend.ADD_POWER_SOURCE: "Add power source",
    Mend.CHANGE_OUTPUT_TRANSLATION: "Change output translation",
    Mend.REMOVE_ACTION: "Open the sensor action",
    Mend.PROVISION: "Open the circuits",
}
SET_UP = {
    SetUpStep.CIRCUITS: "Circuits",
    SetUpStep.MICROGRID: "Microgrid",
    SetUpStep.GATEWAY: "Gateway",
    SetUpStep.GATEWAY_SECRET: "Gateway's secret",
    SetUpStep.DEVICES: "Devices",
    SetUpStep.SENSOR_ACTIONS: "Sensor actions",
    SetUpStep.FIRST_PACKET: "First packet",
}
SET_UP_NEXT = {
    SetUpStep.CIRCUITS: "add the top-level circuits; each becomes a grid connection.",
    SetUpStep.MICROGRID: "the microgrid follows the circuits by itself within moments; if not, Resync says why.",
    SetUpStep.GATEWAY: "add the gateway that sends the depot's packets.",
    SetUpStep.GATEWAY_SECRET: "create a secret for the gateway: its packets are refused without one.",
    SetUpStep.DEVICES: "add the devices, by the sensor ids that the gateway's packets have.",
    SetUpStep.SENSOR_ACTIONS: "say what a device's measurands update, or bind the depot's controller.",
    SetUpStep.FIRST_PACKET: "send the first packet of a device.",
}
"""What a step of the set-up asks for, where it comes next."""
SET_UP_DO = {
    SetUpStep.CIRCUITS: "Open the circuits",
    SetUpStep.MICROGRID: "Open the circuits",
    SetUpStep.GATEWAY: "Add the first gateway",
    SetUpStep.GATEWAY_SECRET: "Create a secret",
    SetUpStep.DEVICES: "Add the first device",
    SetUpStep.SENSOR_ACTIONS: "Open the sensor actions",
    SetUpStep.FIRST_PACKET: "Wait for it",
}
"""The button of a step that comes next."""
POWER_STATE = {
    DevicePowerState.ON: Badge("On", "zap", "good"),
    DevicePowerState.OFF: Badge("Off", "circle-slash", "quiet"),
}
OPERATING_MODE = {
    BessOperationalMode.IDLE: Badge("Idle", "pause", "quiet"),
    BessOperationalMode.CHARGING: Badge("Charging", "zap", "busy"),
    BessOperationalMode.DISCHARGING: Badge("Discharging", "arrow-right", "busy"),
    BessOperationalMode.AUTOMATIC: Badge("Automatic", "refresh-cw", "quiet"),
    BessOperationalMode.ERROR: Badge("Error", "circle-x", "bad"),
}
SOURCE_STATE = {
    MeasurandKey.DEVICE_POWER_STATE: POWER_STATE,
    MeasurandKey.BESS_OPERATIONAL_MODE: OPERATING_MODE,
}
"""How a power source is, where a measurand says it with a text."""
ENABLED = {True: Badge("Enabled", "circle-check", "good"), False: Badge("Disabled", "circle-slash", "quiet")}
RULE = {
    RoutingRule.LINKED_CIRCUIT: "the one power source on the device's linked circuit",
    RoutingRule.DEPOT_BATTERY: "the one battery of the depot",
    RoutingRule.OUTPUT_TRANSLATION: "the gateway's output translation names it",
}
TARGET = {
    ActionTarget.MICROGRID: "Microgrid of",
    ActionTarget.POWER_SOURCE: "Power source",
    ActionTarget.CIRCUIT: "Capacity of the circuit",
}
UNREADABLE = {
    ReadingCode.VALUE_UNAVAILABLE: "no value available",
    ReadingCode.WRONG_VALUE_KIND: "wrong type of value",
    ReadingCode.UNKNOWN_TEXT: "not one of the allowed values",
    ReadingCode.VALUE_OUT_OF_RANGE: "out of range",
    ReadingCode.WRONG_UNIT: "wrong unit",
}
RUN_STATE = JOB | {JobState.FAILED: Badge("Aborted", "circle-alert", "bad")}
RUN_OUTCOME = {
    RunOutcome.PASSED: Badge("Checks passed", "circle-check", "good"),
    RunOutcome.FAILED: Badge("Checks failed", "circle-x", "bad"),
}
CHECK = {True: Badge("Passed", "check", "good"), False: Badge("Failed", "x", "bad")}
RUN_CAPACITY = {
    CapacityMode.AWAITING: "waits for the controller",
    CapacityMode.CONTROLLER: "set by the controller",
    CapacityMode.FAIL_SAFE: "fail-safe",
}
FAIL_SAFE = {
    FailSafeReason.CONNECTION_LOST: "connection lost",
    FailSafeReason.HEARTBEAT_TIMEOUT: "heartbeat timed out",
    FailSafeReason.CONTROLLER_ERROR: "controller error",
    FailSafeReason.HEARTBEAT_UNAVAILABLE: "no heartbeat",
    FailSafeReason.HEARTBEAT_UNREADABLE: "heartbeat unreadable",
    FailSafeReason.CAPACITY_UNAVAILABLE: "no capacity",
    FailSafeReason.CAPACITY_UNREADABLE: "capacity unreadable",
    FailSafeReason.NO_PACKET: "no packet",
}


def run_badge(state: JobState, outcome: RunOutcome | None) -> Badge:
    """How a scenario run stands: by its outcome where every step was sent, else by its state."""
    badge = None if outcome is None else RUN_OUTCOME.get(outcome)
    return badge or RUN_STATE[state]


def warns_of_clock(ahead_seconds: float) -> bool:
    """Whether a clock that runs so far ahead is warned of."""
    return is_wrong(timedelta(seconds=ahead_seconds))


def speed(time_scale: float) -> str:
    """How fast a scenario's clock runs."""
    if time_scale == 0:
        return "As fast as possible"
    return "Real time" if time_scale == 1 else f"{1 / time_scale:.3g} times real time"


def count(number: int) -> str:
    """A count with its thousands set apart."""
    return f"{number:,}".replace(",", "\u202f")


def counted(number: int, one: str, many: str = "") -> str:
    """A count with its noun."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def alarm(kind: AlarmKind, number: int) -> str:
    """What is wrong, as an alarm of a depot says it, and how much of it there is."""
    match kind:
        case AlarmKind.CONTROLLER_SILENT:
            return "Controller silent" if number == 1 else f"{count(number)} controllers silent"
        case AlarmKind.FAIL_SAFE:
            return f"{counted(number, 'circuit')} in fail-safe"
        case AlarmKind.REMEDIATION_OPEN:
            return counted(number, "remediation")
        case AlarmKind.PROVISIONING_FAILED | AlarmKind.STATUS_STALE:
            return ALARM[kind].word


def sent_nothing(*, is_bound: bool, is_disabled: bool = False) -> str:
    """Why there is no status of a capability."""
    if is_bound:
        return "bound, nothing sent yet"
    return "the binding is disabled" if is_disabled else "no controller bound"


def updates(number: int) -> str:
    """How many updates said the same; more than are counted."""
    return counted(number, "update") + (" or more" if number >= MOST_UPDATES else "")


def power(watts: float) -> str:
    """A power in the unit in which it is read at a site."""
    for unit, factor in (("GW", 1e9), ("MW", 1e6), ("kW", 1e3)):
        if watts >= factor:
            return f"{watts / factor:.4g}\u202f{unit}"
    return f"{watts:.4g}\u202fW"


def kilowatts(watts: float | None) -> str:
    """A power as it is edited: plain kilowatts, without loss."""
    return "" if watts is None else f"{watts / 1000:.12g}"


def kw(watts: float) -> str:
    """A power in kilowatts, to be read below others: always with one decimal."""
    return f"{watts / 1000:,.1f}".replace(",", "\u202f").replace("-", "\u2212")


def flow(kind: str, watts: float) -> str:
    """What a power source does with its power, which is a load only while it takes some: "Discharging 120.0 kW"."""
    gives, takes = ("Discharging", "Charging") if kind == PowerSourceKind.BATTERY else ("Generating", "Drawing")
    amount = f"{kw(abs(watts))} kW"
    return amount if amount == "0.0 kW" else f"{gives if watts > 0 else takes} {amount}"


def figure(number: float) -> str:
    """A number as it was measured: to three decimals, without zeros that say nothing, its thousands set apart."""
    text = f"{number:,.3f}".rstrip("0").rstrip(".")
    return text.replace(",", "\u202f")


def in_words(code: str) -> str:
    """A code as words: ``CONNECTION_LOST`` is "Connection lost"."""
    return code.replace("_", " ").capitalize()


def to_second(moment: datetime) -> str:
    """A moment as an attribute ``datetime`` has it, which knows no microseconds."""
    return moment.isoformat(timespec="seconds")


def exact(moment: datetime, zone: str = "UTC") -> str:
    """A moment to the second, in a time zone, with that zone's name; in UTC where there is no such zone."""
    there = moment.astimezone(find_timezone(zone))
    return f"{there:%Y-%m-%d %H:%M:%S} {there.tzname()}"


def time_of_day(moment: datetime, zone: str) -> str:
    """What a clock shows in a time zone; in UTC where there is no such zone."""
    return f"{moment.astimezone(find_timezone(zone)):%H:%M} {'local' if zone in known_timezones() else 'UTC'}"


def clock_time(moment: datetime, zone: str, now: datetime) -> str:
    """A moment as it is told on the same day: the time of day alone; on another day, with its date."""
    place = find_timezone(zone)
    there, today = moment.astimezone(place), now.astimezone(place)
    return f"{there:%H:%M}" if there.date() == today.date() else f"{there:%Y-%m-%d %H:%M}"


def clock_second(moment: datetime, zone: str, now: datetime) -> str:
    """The same to the second."""
    place = find_timezone(zone)
    there, today = moment.astimezone(place), now.astimezone(place)
    return f"{there:%H:%M:%S}" if there.date() == today.date() else f"{there:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """A length of time, with the two units that matter."""
    whole = max(0, round(seconds))
    days, hours, minutes, rest = whole // 86_400, whole // 3_600 % 24, whole // 60 % 60, whole % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def stale_at(reading_at: datetime) -> str:
    """When a reading of a power source becomes an old one."""
    return (reading_at + READING_THRESHOLD).isoformat()


def threshold(seconds: float) -> str:
    """A length of time that somebody set: without the zeros that nobody says."""
    return re.sub(r"(?<=\S) 0 \w+$", "", duration(seconds))


def between(start: datetime, end: datetime) -> str:
    """How long something took."""
    return duration((end - start) / timedelta(seconds=1))
