"""Sets up, through the public API, what the simulated controller drives in a depot. Doing it again changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cli.client import Api
from cli.errors import CommandFailedError
from domain.site.sensor_actions import SENSOR_ACTIONS, SensorActionKind

DEPOT = "Simulation depot"
HEARTBEAT_SECONDS = 5
"""The shortest threshold there is: a scenario's silence lasts as long."""
_PATIENCE = 60.0
_CIRCUITS = [
    {"name": "Main switchboard", "children": [{"name": "Charging", "rated_power_w": 1_200_000}, {"name": "Battery"}]}
]
_NEW = {"timezone": "Etc/UTC", "allows_simulation": True, "circuits": _CIRCUITS}
_CONTROLLER = (
    SensorActionKind.UPDATE_MICROGRID_STATE,
    SensorActionKind.UPDATE_POWER_SOURCE_STATE,
    SensorActionKind.UPDATE_CIRCUIT_CAPACITY,
)


async def simulation_depot(api: Api, name: str = DEPOT, *, heartbeat_seconds: int = HEARTBEAT_SECONDS) -> str:
    """Find or make the depot of that name, with everything configured; answer its id.

    ``heartbeat_seconds`` is the threshold of a controller that is new.
    """
    found = [each for each in await everything(api, "/api/depots", search=name) if each["name"] == name]
    made = found or [await api.create("/api/depots", _NEW | {"name": name})]
    depot_id = str(made[0]["depot_id"])
    await provision(api, depot_id, heartbeat_seconds=heartbeat_seconds)
    return depot_id


async def provision(api: Api, depot_id: str, *, heartbeat_seconds: int = HEARTBEAT_SECONDS) -> list[str]:
    """Set up what is missing for the presets; answer what was done, in words.

    What is configured stays as it is: what is added is a gateway without a site model, devices, sensor actions with
    every measurand, a battery.

    Raises:
        CommandFailedError: the depot does not get its microgrid.
        RefusedError: something stands in the way that a person must decide.

    """
    site = await _read(api, depot_id, heartbeat_seconds)
    await _circuits(api, site)
    await _microgrid(api, site)
    await _controller(api, site)
    await _battery(api, site)
    await _meters(api, site)
    return site.done


async def everything(api: Api, path: str, **parameters: str | int) -> list[dict[str, Any]]:
    """Read a list to its end."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        more = {} if cursor is None else {"cursor": cursor}
        page = await api.get(path, limit=500, **parameters, **more)
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return items


@dataclass
class _DepotIds:
    depot_id: str
    circuits: list[dict[str, Any]]
    gateways: list[dict[str, Any]]
    devices: list[dict[str, Any]]
    actions: dict[str, dict[str, dict[str, Any]]]
    """By device and kind; those that are switched off included."""
    sources: list[dict[str, Any]]
    heartbeat_seconds: int
    done: list[str] = field(default_factory=list[str])

    def enabled(self, kind: SensorActionKind) -> list[dict[str, Any]]:
        """Return the devices with a sensor action that is switched on."""
        return [each for each in self.devices if self.actions[each["device_id"]].get(kind, {}).get("enabled")]


async def _read(api: Api, depot_id: str, heartbeat_seconds: int) -> _DepotIds:
    devices = await everything(api, "/api/devices", depot_id=depot_id)
    actions: dict[str, dict[str, dict[str, Any]]] = {}
    for device in devices:
        found = (await api.get(f"/api/devices/{device['device_id']}/sensor-actions"))["items"]
        actions[device["device_id"]] = {each["action"]: each for each in found}
    return _DepotIds(
        depot_id,
        (await api.get(f"/api/depots/{depot_id}/circuits"))["items"],
        await everything(api, "/api/gateways", depot_id=depot_id),
        devices,
        actions,
        await everything(api, "/api/power-sources", depot_id=depot_id),
        heartbeat_seconds,
    )


async def _circuits(api: Api, site: _DepotIds) -> None:
    if not any(each["parent_id"] is None for each in site.circuits):
        await _add_circuit(api, site, "Main switchboard", None)


async def _add_circuit(api: Api, site: _DepotIds, name: str, parent_id: str | None) -> dict[str, Any]:
    made = await api.create(f"/api/depots/{site.depot_id}/circuits", {"name": name, "parent_id": parent_id})
    site.circuits.append(made)
    site.done.append(f"circuit {name}")
    return made


async def _microgrid(api: Api, site: _DepotIds) -> None:
    until = time.monotonic() + _PATIENCE
    depot = await api.get(f"/api/depots/{site.depot_id}")
    if depot["microgrid_id"] is None:
        await api.post(f"/api/depots/{site.depot_id}/microgrid/resync")
        site.done.append("microgrid")
    while (await api.get(f"/api/depots/{site.depot_id}"))["microgrid_id"] is None:
        if time.monotonic() > until:
            raise CommandFailedError("The depot has no microgrid yet: see whether the worker runs.")
        await asyncio.sleep(0.1)


async def _controller(api: Api, site: _DepotIds) -> None:
    main = _first(each for kind in reversed(_CONTROLLER) for each in site.enabled(kind))
    if main is None:
        gateway = _first(each for each in site.gateways if each["name"] == "Simulation gateway")
        gateway_id = (gateway or await _add_gateway(api, site))["gateway_id"]
        main = _on(site, gateway_id, "mgc-1") or await _add_device(
            api, site, gateway_id, "mgc-1", "Simulated microgrid controller", (await _charging(api, site))["circuit_id"]
        )
    for kind in _CONTROLLER:
        if not site.enabled(kind):
            await _add_action(api, site, main, kind)
    for device in site.enabled(SensorActionKind.UPDATE_CIRCUIT_CAPACITY):
        if device["circuit_id"] is None:
            circuit_id = (await _charging(api, site))["circuit_id"]
            device |= await api.patch(f"/api/devices/{device['device_id']}", {"circuit_id": circuit_id})
            site.done.append(f"link of {device['name']}")


async def _charging(api: Api, site: _DepotIds) -> dict[str, Any]:
    """Find the circuit whose capacity the simulated controller sets; one of its own where none is for charging."""
    followed = {each["circuit_id"] for each in site.enabled(SensorActionKind.UPDATE_CIRCUIT_CAPACITY)}
    free = [each for each in site.circuits if "charging" in each["name"].lower() and each["circuit_id"] not in followed]
    top = next(each for each in site.circuits if each["parent_id"] is None)
    return free[0] if free else await _add_circuit(api, site, "Charging", top["circuit_id"])


async def _battery(api: Api, site: _DepotIds) -> None:
    if any(each["kind"] == "BATTERY" for each in site.sources):
        return
    circuit = _first(each for each in site.circuits if each["name"] == "Battery")
    body = {
        "depot_id": site.depot_id,
        "kind": "BATTERY",
        "name": "Battery",
        "circuit_id": None if circuit is None else circuit["circuit_id"],
    }
    site.sources.append(await api.create("/api/power-sources", body))
    site.done.append("power source Battery")


async def _meters(api: Api, site: _DepotIds) -> None:
    controller = site.enabled(SensorActionKind.UPDATE_CIRCUIT_CAPACITY)[0]
    if not site.enabled(SensorActionKind.UPDATE_POWER_SOURCE_LOAD):
        battery = next(each for each in site.sources if each["kind"] == "BATTERY")
        meter = _on(site, controller["gateway_id"], "bess-meter") or await _add_device(
            api, site, controller["gateway_id"], "bess-meter", "Simulated battery meter", battery["circuit_id"]
        )
        await _add_action(api, site, meter, SensorActionKind.UPDATE_POWER_SOURCE_LOAD)
    if all(any(each["enabled"] for each in found.values()) for found in site.actions.values()):
        top = next(each for each in site.circuits if each["parent_id"] is None)
        await _add_device(api, site, controller["gateway_id"], "grid-meter", "Simulated grid meter", top["circuit_id"])


async def _add_gateway(api: Api, site: _DepotIds) -> dict[str, Any]:
    made = await api.create("/api/gateways", {"depot_id": site.depot_id, "name": "Simulation gateway"})
    site.gateways.append(made)
    site.done.append("gateway Simulation gateway")
    return made


async def _add_device(
    api: Api, site: _DepotIds, gateway_id: str, sensor_id: str, name: str, circuit_id: str | None
) -> dict[str, Any]:
    body = {"gateway_id": gateway_id, "sensor_id": sensor_id, "name": name, "circuit_id": circuit_id}
    made = await api.create("/api/devices", body)
    site.devices.append(made)
    site.actions[made["device_id"]] = {}
    site.done.append(f"device {name}")
    return made


async def _add_action(api: Api, site: _DepotIds, device: dict[str, Any], kind: SensorActionKind) -> None:
    """Switch a sensor action on; one that is there but switched off keeps its settings."""
    there = site.actions[device["device_id"]]
    if kind in there:
        there[kind] = await api.patch(f"/api/sensor-actions/{there[kind]['sensor_action_id']}", {"enabled": True})
    else:
        spec = SENSOR_ACTIONS[kind]
        body: dict[str, Any] = {"action": kind, "measurands": [key.value for key in spec.measurands]}
        if spec.settings:
            body["heartbeat_threshold_seconds"] = site.heartbeat_seconds
        there[kind] = await api.create(f"/api/devices/{device['device_id']}/sensor-actions", body)
    site.done.append(f"{SENSOR_ACTIONS[kind].title} on {device['name']}")


def _on(site: _DepotIds, gateway_id: str, sensor_id: str) -> dict[str, Any] | None:
    return _first(each for each in site.devices if each["gateway_id"] == gateway_id and each["sensor_id"] == sensor_id)


def _first(found: Iterable[dict[str, Any]]) -> dict[str, Any] | None:
    return next(iter(found), None)
