"""The microgrid is the site's identity: it stays while all that its structure is derived from changes."""

from __future__ import annotations

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from store.base.database import transaction
from store.provisioning.microgrids import reconcile_microgrid
from store.site.circuits import create_circuit, delete_circuit
from tests.factories.packets import latest, send
from tests.factories.sites import add_power_source, controller_site, milliseconds, packet
from tests.helpers.support import ACTOR


@pytest.mark.acceptance("COR-9.2")
async def test_the_identity_and_its_history_survive_a_rebuilt_switchboard(
    api: httpx.AsyncClient, engine: AsyncEngine
) -> None:
    site = await controller_site(engine)
    battery = await add_power_source(engine, site, circuit_id=site.circuit_ids[0])
    await send(api, packet(site, milliseconds() - 1000, LIMIT_PEAK_SHAVING="true", LIMIT_DER_EXPORT="false"))
    before = await latest(api, site)
    async with transaction(engine, ACTOR) as connection:
        await delete_circuit(connection, ACTOR, site.circuit_ids[0], cascade=True)
        await reconcile_microgrid(connection, ACTOR, site.depot_id)
    async with transaction(engine, ACTOR) as connection:
        feed = await create_circuit(connection, ACTOR, site.depot_id, {"name": "New feed"})
        await reconcile_microgrid(connection, ACTOR, site.depot_id)
    found = (await api.get(f"/api/depots/{site.depot_id}/microgrid")).json()
    assert found["microgrid_id"] == str(site.microgrid_id)
    assert [node["circuit_id"] for node in found["grid_connections"]] == [str(feed.circuit_id)]
    after = await latest(api, site)
    assert {name: each["event_id"] for name, each in after.items()} == {
        name: each["event_id"] for name, each in before.items()
    }
    # What is below the grid connections is the depot's circuits as they are now, without any sync.
    async with transaction(engine, ACTOR) as connection:
        board = await create_circuit(connection, ACTOR, site.depot_id, {"name": "Board", "parent_id": feed.circuit_id})
    structure = (await api.get(f"/api/microgrids/{site.microgrid_id}/structure")).json()
    assert structure["version"] == found["version"]
    (connection_now,) = structure["grid_connections"]
    assert [each["circuit_id"] for each in connection_now["circuit"]["circuits"]] == [str(board.circuit_id)]
    # The battery hung on the circuit that is gone: it is still of the site, linked to nothing.
    assert [each["power_source_id"] for each in structure["unlinked_power_sources"]] == [str(battery)]
    # And packets go on reaching the same microgrid.
    (item,) = await send(api, packet(site, LIMIT_PEAK_SHAVING="false"))
    assert item["actions"][0]["target_id"] == str(site.microgrid_id)
    assert (await latest(api, site))["PEAK_SHAVING"]["status"] == "OFF"
