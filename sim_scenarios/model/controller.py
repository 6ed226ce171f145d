"""The simulated controller: how it is switched, what its battery does, and what it says at its inputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from domain.controllers.controller_translation import InputKind, InputValue
from sim_scenarios.language.language import Settings, Site
from sim_scenarios.language.quantities import plain, watts
from sim_scenarios.model.site import BatteryOrder

BEAT_SECONDS = 1
"""Between two beats of a heartbeat that beats."""

INPUTS: Mapping[str, InputKind] = {
    "available_power": InputKind.NUMBER,
    "default_power": InputKind.NUMBER,
    "battery_state_of_charge": InputKind.NUMBER,
    "peak_shaving_on": InputKind.BOOLEAN,
    "der_export_limit_on": InputKind.BOOLEAN,
    "battery_on": InputKind.BOOLEAN,
    "automatic_dispatch_on": InputKind.BOOLEAN,
    "manual_charge_on": InputKind.BOOLEAN,
    "manual_discharge_on": InputKind.BOOLEAN,
    "controller_connected": InputKind.BOOLEAN,
    "heartbeat_interval": InputKind.NUMBER,
    "heartbeat_good": InputKind.BOOLEAN,
}
"""Every input that the simulated controller has; a table may use any of them."""

_BATTERY_INPUTS = (
    "battery_state_of_charge",
    "battery_on",
    "automatic_dispatch_on",
    "manual_charge_on",
    "manual_discharge_on",
)


@dataclass(frozen=True)
class Switches:
    """How controller and site are set at the moment; the names are those of the language."""

    import_limit_w: int
    fail_safe_w: int
    connected: bool = True
    heartbeat: str = "beating"
    heartbeat_since_ms: int = 0
    """When the heartbeat got into that state."""
    automatic_dispatch: bool = True
    manual_charge: bool = False
    manual_discharge: bool = False
    peak_shaving: bool = False
    der_export_limit: bool = False
    battery_on: bool = True
    unavailable: frozenset[str] = frozenset()

    def changed(self, by: Settings, at_ms: int) -> Switches:
        """Return the switches after a change."""
        given = {field.name: getattr(by, field.name, None) for field in fields(self)}
        made = {name: value for name, value in given.items() if value is not None}
        if by.import_limit_kw is not None:
            made["import_limit_w"] = watts(by.import_limit_kw)
        if by.fail_safe_kw is not None:
            made["fail_safe_w"] = watts(by.fail_safe_kw)
        if by.unavailable is not None:
            made["unavailable"] = frozenset(by.unavailable)
        if by.heartbeat is not None and by.heartbeat != self.heartbeat:
            made["heartbeat_since_ms"] = at_ms
        return replace(self, **made)

    @property
    def battery_order(self) -> BatteryOrder:
        """What the battery does about it: contradictory orders keep it still, as its mode ``error`` says."""
        if not self.battery_on:
            return BatteryOrder.STILL
        orders = {
            (True, False, False): BatteryOrder.AUTOMATIC,
            (False, True, False): BatteryOrder.CHARGE,
            (False, False, True): BatteryOrder.DISCHARGE,
        }
        given = (self.automatic_dispatch, self.manual_charge, self.manual_discharge)
        return orders.get(given, BatteryOrder.STILL)


def switched_at_start(site: Site, start: Settings) -> Switches:
    """Return the switches at the start."""
    return Switches(watts(site.grid.import_limit_kw), watts(site.charging.fail_safe_kw)).changed(start, 0)


def controller_inputs(
    site: Site, switches: Switches, *, offset_ms: int, available_w: int, soc_permille: int
) -> dict[str, InputValue]:
    """Return what the controller says at the inputs that it has on this site.

    None: there is no value. When the gateway does not reach the controller, that is so for all inputs but the one
    that says so.
    """
    stopped_s = (offset_ms - switches.heartbeat_since_ms) // 1000 if switches.heartbeat == "stopped" else 0
    said: dict[str, InputValue] = {
        "available_power": available_w,
        "default_power": switches.fail_safe_w,
        "battery_state_of_charge": plain(soc_permille / 10),
        "peak_shaving_on": switches.peak_shaving,
        "der_export_limit_on": switches.der_export_limit,
        "battery_on": switches.battery_on,
        "automatic_dispatch_on": switches.automatic_dispatch,
        "manual_charge_on": switches.manual_charge,
        "manual_discharge_on": switches.manual_discharge,
        "controller_connected": switches.connected,
        "heartbeat_interval": BEAT_SECONDS + stopped_s,
        "heartbeat_good": switches.heartbeat != "bad",
    }
    absent: set[str] = set() if site.battery else set(_BATTERY_INPUTS)
    absent |= set() if site.peak_shaving else {"peak_shaving_on"}
    absent |= set() if site.der else {"der_export_limit_on"}
    lost = switches.unavailable if switches.connected else said.keys() - {"controller_connected"}
    return {name: None if name in lost else value for name, value in said.items() if name not in absent}
