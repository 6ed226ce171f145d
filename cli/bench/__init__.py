"""Measurements: everything that is compared runs side by side in one run, so the ratios hold on any machine."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

USAGE = """usage: ./dev bench provisioning [--sizes 1000,10000,100000] [--rounds 3] [--syncs 200]
       ./dev bench fleet [--sizes 2000,60000] [--rounds 30]
       ./dev bench restart [--rounds 5] [--depots 40]
       ./dev bench simulation [--rounds 3] [--at-once 50] [--runs 20]
       ./dev bench telemetry [--seconds 4] [--rounds 3] [--processes 1] [--only packets,flexmeasures,reads,deadlines]"""


def main(args: list[str]) -> int:
    """Run one benchmark by its name."""
    if not args or args[0] not in _BENCHMARKS:
        sys.stderr.write(f"{USAGE}\n")
        return 2
    return _BENCHMARKS[args[0]](args[1:])


def _provisioning(args: list[str]) -> int:
    from cli.bench.provisioning import run

    return asyncio.run(run(args))


def _fleet(args: list[str]) -> int:
    from cli.bench.fleet import run

    return asyncio.run(run(args))


def _restart(args: list[str]) -> int:
    from cli.bench.restart import run

    return asyncio.run(run(args))


def _simulation(args: list[str]) -> int:
    from cli.bench.simulation import run

    return asyncio.run(run(args))


def _telemetry(args: list[str]) -> int:
    from cli.bench.telemetry import run

    return asyncio.run(run(args))


_BENCHMARKS: dict[str, Callable[[list[str]], int]] = {
    "provisioning": _provisioning,
    "fleet": _fleet,
    "restart": _restart,
    "telemetry": _telemetry,
    "simulation": _simulation,
}
