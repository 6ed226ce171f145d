"""Calls the API as a program would that was given a generated client: ``drive.py ADDRESS``.

It runs among the tools, with the client and the models beside it, and not among the product's own packages.
"""

import sys
import time

import models
from depot_microgrid_client import Client
from depot_microgrid_client.api.backfills import get_backfill, start_backfill
from depot_microgrid_client.api.circuits import create_circuit, get_circuit, list_circuits, update_circuit
from depot_microgrid_client.api.controller_bindings import create_controller_binding, get_controller_binding
from depot_microgrid_client.api.depots import create_depot, get_depot, import_fleet, list_depots
from depot_microgrid_client.api.devices import create_device
from depot_microgrid_client.api.gateways import create_gateway
from depot_microgrid_client.api.telemetry import list_packets, send_packets
from depot_microgrid_client.models import (
    BackfillCreate,
    CircuitChange,
    CircuitCreate,
    ControllerBindingCreate,
    ControllerBindingCreateCapabilitiesItem,
    DepotCreate,
    DeviceCreate,
    GatewayCreate,
    NestedCircuit,
    Packet,
    PacketMeasurand,
    PacketSensor,
    Problem,
)
from depot_microgrid_client.types import File

FLEET = b'{"type": "depot", "id": "0198c3a5-6d52-7c11-9f0e-2a4b8c1d3e5f", "name": "Sent", "timezone": "Etc/UTC"}\n'


def main(address):
    """Make a site, send packets, run a backfill, bring in a fleet; every answer must be of the documented form."""
    with Client(base_url=address, timeout=30) as client:

        def call(operation, model=None, **given):
            answer = operation.sync_detailed(client=client, **given)
            assert answer.status_code < 300, (answer.status_code, answer.content)
            assert answer.parsed is not None, answer.content
            assert not isinstance(answer.parsed, Problem), answer.content
            if model is not None:
                # The other generator's model reads the same answer.
                model.model_validate_json(answer.content)
            if answer.status_code in (201, 202):
                followed = client.get_httpx_client().get(answer.headers["location"])
                assert followed.status_code == 200, (answer.headers["location"], followed.text)
            return answer.parsed

        feed = NestedCircuit(name="Feed 1", rated_power_w=400_000, children=[NestedCircuit(name="Charger bank")])
        made = DepotCreate(name="Arrow Road", timezone="America/Toronto", circuits=[feed])
        depot = call(create_depot, models.Depot, body=made)
        assert call(get_depot, models.Depot, depot_id=depot.depot_id).name == "Arrow Road"
        assert [each.name for each in call(list_depots, models.DepotPage, search="arrow").items] == ["Arrow Road"]

        second = CircuitCreate(name="Feed 2")
        circuit = call(create_circuit, models.Circuit, depot_id=depot.depot_id, body=second)
        call(update_circuit, models.Circuit, circuit_id=circuit.circuit_id, body=CircuitChange(rated_power_w=1_000))
        read = call(get_circuit, models.Circuit, circuit_id=circuit.circuit_id)
        assert (read.name, read.rated_power_w, read.position) == ("Feed 2", 1_000, 1)
        assert len(call(list_circuits, models.CircuitList, depot_id=depot.depot_id).items) == 3

        gateway = call(create_gateway, models.Gateway, body=GatewayCreate(depot_id=depot.depot_id, name="Gateway"))
        device = call(
            create_device, models.Device,
            body=DeviceCreate(gateway_id=gateway.gateway_id, sensor_id="mgc-1", name="MGC", controller="bba-1"),
        )  # fmt: skip
        while call(get_depot, depot_id=depot.depot_id).microgrid_id is None:
            time.sleep(0.05)
        binding = call(
            create_controller_binding, models.ControllerBinding,
            body=ControllerBindingCreate(
                depot_id=depot.depot_id, device_id=device.device_id,
                capabilities=[ControllerBindingCreateCapabilitiesItem.PEAK_SHAVING],
            ),
        )  # fmt: skip
        call(get_controller_binding, models.ControllerBinding, binding_id=binding.binding_id)

        measured = PacketMeasurand(key="LIMIT_PEAK_SHAVING", value="true", unit=None)
        packet = Packet(
            device_id=str(gateway.gateway_id), timestamp=int(time.time() * 1000),
            sensors=[PacketSensor(sensor_id="mgc-1", measurands=[measured])],
        )  # fmt: skip
        packet["of the maker's own"] = {"nested": [1, None]}
        answers = call(send_packets, models.PacketAnswers, body=packet)
        assert [str(each.status) for each in answers.items] == ["ACCEPTED"], answers
        assert len(call(send_packets, models.PacketAnswers, body=[packet, packet]).items) == 2
        stored = call(list_packets, models.StoredPacketPage, gateway_id=gateway.gateway_id)
        assert stored.items[0].document["of the maker's own"] == {"nested": [1, None]}

        fleet = call(import_fleet, models.ImportReport, body=File(payload=FLEET))
        assert (fleet.lines, fleet.refused, fleet.landed.depots) == (1, 0, 1), fleet

        backfill = call(start_backfill, models.Backfill, body=BackfillCreate(page_size=10))
        while call(get_backfill, models.Backfill, backfill_id=backfill.backfill_id).finished_at is None:
            time.sleep(0.05)


main(sys.argv[1])
