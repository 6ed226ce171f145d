"""The depots of a chaos run, made before the traffic begins."""

from __future__ import annotations

from dataclasses import dataclass

from cli.client import Api
from cli.commands.simulation_site import simulation_depot
from devtools.chaos.request_writer import RequestWriter
from devtools.chaos.senders import Gateway

_EDITED = 4
_LONG_SECONDS = 3600
"""A heartbeat threshold that no fault lasts as long as."""
_THRESHOLDS = (_LONG_SECONDS, 5, _LONG_SECONDS, 5)
"""Of the gateways of the traffic: the fail-safe of every other takes over with each fault, and at the end."""
_RUN_DEPOTS = 2


@dataclass(frozen=True)
class Site:
    """What there is."""

    edited: list[str]
    """Depots whose circuits change."""
    probed: str
    """The depot that probes change."""
    gateways: list[Gateway]
    simulated: list[str]
    """Depots that scenarios run on."""


async def make_site(api: Api, writer: RequestWriter) -> Site:
    """Make the depots through the API."""
    edited = [await _depot(api, writer, f"Edited {number}") for number in range(_EDITED)]
    probed = await _depot(api, writer, "Probed")
    gateways = [await _gateway(api, f"Sending {n}", seconds) for n, seconds in enumerate(_THRESHOLDS)]
    simulated = [
        await simulation_depot(api, f"Simulated {number}", heartbeat_seconds=_LONG_SECONDS)
        for number in range(_RUN_DEPOTS)
    ]
    return Site(edited, probed, gateways, simulated)


async def _depot(api: Api, writer: RequestWriter, name: str) -> str:
    """Make a depot with a circuit that nobody changes, and tell the checker of it."""
    made = await api.create("/api/depots", {"name": name, "timezone": "Etc/UTC", "circuits": [{"name": "Feed"}]})
    circuits = (await api.get(f"/api/depots/{made['depot_id']}/circuits"))["items"]
    writer.note("DEPOT", depot_id=made["depot_id"], circuits=[each["circuit_id"] for each in circuits])
    return made["depot_id"]


async def _gateway(api: Api, name: str, heartbeat_seconds: int) -> Gateway:
    depot_id = await simulation_depot(api, name, heartbeat_seconds=heartbeat_seconds)
    (gateway,) = (await api.get("/api/gateways", depot_id=depot_id))["items"]
    devices = (await api.get("/api/devices", depot_id=depot_id))["items"]
    (controller,) = [each for each in devices if each["sensor_id"] == "mgc-1"]
    microgrid_id = (await api.get(f"/api/depots/{depot_id}"))["microgrid_id"]
    return Gateway(depot_id, microgrid_id, gateway["gateway_id"], controller["device_id"], controller["sensor_id"])
