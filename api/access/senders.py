"""Of which gateways somebody may send packets, and whether they are simulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.access.principals import WORKER_PRINCIPAL, Principal
from domain.access.roles import Permission
from domain.base.problems import Problem, ProblemCode
from store.simulation.scenario_runs import gateways_of_open_run
from store.site.gateways import gateway_ids

RUN_HEADER = "scenario-run"
"""In this header the product's worker names the scenario run that its packets are of."""

MaySend = Callable[[UUID], bool]
"""Whether the packets of a gateway, by its id, may be sent."""


def _of_any(_gateway_id: UUID) -> bool:
    return True


@dataclass(frozen=True)
class Sender:
    """What somebody may send."""

    may_send: MaySend
    scenario_run_id: UUID | None = None
    """The scenario run that the packets are of; None: they are no simulated ones."""


async def sender_of(engine: AsyncEngine, principal: Principal, run: str | None) -> Sender:
    """Say whose packets a principal may send: a gateway its own, anybody else those of the gateways at their depots.

    ``run`` is the scenario run that a request names (``RUN_HEADER``). The worker sends nothing but the packets of runs
    that are in progress, each for the gateways that the run speaks for; and nobody else sends packets of a run.

    The database is asked for the worker, and for whoever sends at some depots alone: the local administrator's packets,
    and those of gateways themselves, cost no statement.

    Raises:
        Problem: ``NOT_PERMITTED``: a run is named by somebody else, or none by the worker. ``RUN_NOT_RUNNING``.

    """
    if principal is WORKER_PRINCIPAL:
        return await _of_run(engine, run)
    if run is not None:
        raise Problem(ProblemCode.NOT_PERMITTED, "Only the product's own worker sends the packets of a scenario run.")
    if principal.gateway_id is not None:
        return Sender(principal.gateway_id.__eq__)
    scope = principal.scope(Permission.SEND)
    if scope.everywhere:
        return Sender(_of_any)
    async with engine.connect() as connection:
        return Sender((await gateway_ids(connection, scope)).__contains__)


async def _of_run(engine: AsyncEngine, run: str | None) -> Sender:
    try:
        run_id = UUID(run or "")
    except ValueError:
        raise Problem(
            ProblemCode.NOT_PERMITTED, "The worker sends packets of scenario runs alone, and names the run."
        ) from None
    async with engine.connect() as connection:
        gateways = await gateways_of_open_run(connection, run_id)
    if gateways is None:
        raise Problem(ProblemCode.RUN_NOT_RUNNING, f"No scenario run {run_id} is in progress.")
    return Sender(gateways.__contains__, run_id)
