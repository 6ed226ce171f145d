"""The simulated site on its virtual clock: one state after the other, from the scenario and its seed alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from domain.site.measurands import HeartbeatStatus, Measurand, MeasurandKey
from sim_scenarios.language.language import Battery
from sim_scenarios.language.quantities import joules, permille, plain, watts
from sim_scenarios.model.buses import Fleet, draw_buses
from sim_scenarios.model.controller import controller_inputs, switched_at_start
from sim_scenarios.model.profiles import curve
from sim_scenarios.model.random_source import RandomSource
from sim_scenarios.model.site import BatteryLimits, Conditions, Flows, available_w, flow
from sim_scenarios.runs.delivery import DeliveryPlan
from sim_scenarios.runs.projection import controller_measurands
from sim_scenarios.runs.scenario import Scenario


@dataclass(frozen=True)
class SimulatedState:
    """The site at one step. Its powers hold until the next."""

    offset_ms: int
    conditions: Conditions
    flows: Flows
    available_w: int
    soc_permille: int | None
    """At the step; None without a battery."""
    buses_charging: int
    buses_left_short: int
    """Buses that have pulled out so far without all the energy that they need."""
    controller: tuple[Measurand, ...]
    """What the controller says."""

    def document(self) -> dict[str, Any]:
        """Return the state as the evidence has it."""
        flows = self.flows
        made: dict[str, Any] = {
            "load_w": flows.load_w,
            "charging_w": flows.charging_w,
            "der_w": flows.der_w,
            "curtailed_w": flows.curtailed_w,
            "battery_w": flows.battery_w,
            "grid_w": flows.grid_w,
            "available_w": self.available_w,
            "buses_charging": self.buses_charging,
            "buses_left_short": self.buses_left_short,
        }
        if self.soc_permille is not None:
            made["soc_percent"] = plain(self.soc_permille / 10)
        return made


def simulate(scenario: Scenario, seed: int, plan: DeliveryPlan) -> Iterator[SimulatedState]:
    """Run the site through the scenario, one state a step."""
    return _Simulation(scenario, seed, plan).states()


class _Simulation:
    def __init__(self, scenario: Scenario, seed: int, plan: DeliveryPlan) -> None:
        self.scenario = scenario
        self.model = scenario.model
        self.site = scenario.model.site
        self.plan = plan
        self.seconds = self.model.every // 1000
        self.switches = switched_at_start(self.site, self.model.start)
        self.changes: dict[int, list[Any]] = {}
        for entry in self.model.timeline:
            if entry.set is not None and entry.at is not None:
                self.changes.setdefault(entry.at // self.model.every, []).append(entry.set)
        self.load = curve(self.site.load.kw, self.site.load.noise_percent)
        self.load_noise = RandomSource(scenario.name, seed, "load")
        self.der = None if self.site.der is None else curve(self.site.der.kw, self.site.der.noise_percent)
        self.der_noise = RandomSource(scenario.name, seed, "der")
        self.battery = None if self.site.battery is None else battery_limits(self.site.battery)
        self.stored_j = 0
        if self.battery is not None and self.site.battery is not None:
            self.stored_j = self.battery.capacity_j * permille(self.site.battery.soc_percent) // 1000
        self.fleet = Fleet(draw_buses(self.site.buses, scenario.name, seed))

    def states(self) -> Iterator[SimulatedState]:
        for index in range(self.scenario.steps):
            offset_ms = index * self.model.every
            for change in self.changes.get(index, ()):
                self.switches = self.switches.changed(change, offset_ms)
            yield self._state(index, offset_ms)

    def _state(self, index: int, offset_ms: int) -> SimulatedState:
        switches, now = self.switches, self._conditions(offset_ms)
        soc = None if self.battery is None else soc_permille(self.stored_j, self.battery)
        available = available_w(now)
        inputs = controller_inputs(
            self.site, switches, offset_ms=offset_ms, available_w=available, soc_permille=soc or 0
        )
        said = controller_measurands(self.scenario.table, inputs)
        # The chargers follow the controller as long as it can be heard.
        heard = index not in self.plan.silent and _is_well(said)
        allowed = available if heard else min(switches.fail_safe_w, now.charging_limit_w)
        charging = min(self.fleet.demand_w(offset_ms, self.seconds), allowed)
        flows = flow(now, charging)
        self.fleet.charge(charging, self.seconds)
        self.stored_j = flows.stored_j
        return SimulatedState(offset_ms, now, flows, available, soc, self.fleet.charging, self.fleet.left_short, said)

    def _conditions(self, offset_ms: int) -> Conditions:
        switches, site = self.switches, self.site
        export = watts(site.grid.export_limit_kw)
        if site.der is not None and switches.der_export_limit:
            export = min(export, watts(site.der.limited_export_kw))
        target = switches.import_limit_w
        if site.peak_shaving is not None and switches.peak_shaving:
            target = min(target, watts(site.peak_shaving.threshold_kw))
        return Conditions(
            seconds=self.seconds,
            load_w=self.load.at(offset_ms, self.load_noise),
            der_w=0 if self.der is None else self.der.at(offset_ms, self.der_noise),
            import_limit_w=switches.import_limit_w,
            import_target_w=target,
            export_limit_w=export,
            charging_limit_w=watts(site.charging.limit_kw),
            order=switches.battery_order,
            shaves=switches.peak_shaving,
            battery=self.battery,
            stored_j=self.stored_j,
        )


def soc_permille(stored_j: int, battery: BatteryLimits) -> int:
    """Return the state of charge in tenths of a percent, rounded."""
    return (stored_j * 2000 + battery.capacity_j) // (2 * battery.capacity_j)


def battery_limits(battery: Battery) -> BatteryLimits:
    """Return what a battery can, as the simulation counts."""
    capacity = joules(battery.capacity_kwh)
    return BatteryLimits(
        capacity_j=capacity,
        charge_w=watts(battery.charge_kw),
        discharge_w=watts(battery.discharge_kw),
        efficiency_permille=permille(battery.efficiency_percent),
        reserve_j=capacity * permille(battery.reserve_percent) // 1000,
    )


def _is_well(said: tuple[Measurand, ...]) -> bool:
    values = {each.key: each.value for each in said}
    beats = values.get(MeasurandKey.HEARTBEAT_STATUS) == HeartbeatStatus.OK
    return beats and values.get(MeasurandKey.AVAILABLE_CHARGING_CAPACITY) is not None
