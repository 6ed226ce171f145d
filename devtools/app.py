"""The commands of `./dev` for working on the product. What a command needs is imported when it is called."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import App, Group, Parameter, Token, validators

from cli.app import Flag, app

_HELP = """\
One trustworthy microgrid for each electric-bus depot.

New here? `./dev up` brings everything up with a small fleet, `./dev test` runs the tests, and
`./dev COMMAND --help` gives the details of a command.
"""
_GROUP = Group("Working on it", sort_key=2)
# They stand beside those of the product, so that `./dev` has one command line.
app.help = _HELP


@app.command(group=_GROUP, sort_key=1)
def test(
    *args: Annotated[str, Parameter(allow_leading_hyphen=True, show_default=False)],
    fast: Flag = False,  # noqa: PT028 (a command, no test)
    coverage: Flag = False,  # noqa: PT028
) -> int:
    """Run the tests; further arguments go to pytest.

    Two run at a time, unless an argument says otherwise. What pytest takes: `./dev test -- --help`.

    Parameters
    ----------
    fast:
        Only those that start no server, no browser and no other process; they take less than a minute.
    coverage:
        Show what share of each package they executed. It fails where all tests ran and a package is below its floor.
    args:
        Files, `-k WORDS`, `-x`, and whatever else pytest takes.

    """
    from devtools.testing.run_tests import run_tests

    return run_tests(args, fast=fast, coverage=coverage)


@app.command(group=_GROUP, sort_key=2)
def check(*, fix: Flag = False) -> int:
    """Check format, lint, types, layers, generated files and the lock file.

    All checks run, whatever fails. The exit code is 1 where one failed.

    Parameters
    ----------
    fix:
        First mend what the formatters and linters can.

    """
    from devtools.check import run_checks

    return run_checks(fix=fix)


@app.command(group=_GROUP, sort_key=3)
def generate(*names: Annotated[str, Parameter(show_default=False)]) -> int:
    """Write anew the committed files that are made from the code.

    Each is committed so that a change of it is seen in review, and a test fails when it is not what the code makes.

    Parameters
    ----------
    names:
        The files, such as `schema`. Without any: all.

    """
    from devtools.generate import run_generate

    return run_generate(names)


@app.command(group=_GROUP, sort_key=4)
def acceptance(
    *,
    run: Flag = False,
    brief: Flag = False,
    document: Annotated[Path | None, Parameter(show=False)] = None,
    tests: Annotated[Path | None, Parameter(show=False)] = None,
) -> int:
    """Show each acceptance criterion with the tests behind it.

    The exit code is 1 where a delivered criterion has no test, or where, with --run, one of its tests fails.

    Parameters
    ----------
    run:
        Run the tests and say which criteria hold.
    brief:
        Leave the tables out: only what is wrong and the summary.
    document:
        The criteria, instead of docs/acceptance.md.
    tests:
        The tests, instead of the project's.

    """
    from devtools.acceptance import run_acceptance

    return run_acceptance(document, tests, run=run, brief=brief)


bench = App(
    name="bench",
    help="Measure, each figure beside its baseline.\n\nWhat is compared runs side by side: ratios hold on any machine.",
    group=_GROUP,
    sort_key=5,
    version_flags=[],
)
app.command(bench)


def _split(_type: object, tokens: Sequence[Token]) -> tuple[str, ...]:
    return tuple(tokens[0].value.split(","))


def _split_numbers(_type: object, tokens: Sequence[Token]) -> tuple[int, ...]:
    return tuple(int(each) for each in tokens[0].value.split(","))


def _joined(values: Sequence[Any]) -> str:
    return ",".join(str(each) for each in values)


Sizes = Annotated[tuple[int, ...], Parameter(converter=_split_numbers, n_tokens=1, negative=(), show_default=_joined)]
Part = Literal["packets", "several", "credentials", "flexmeasures", "reads", "deadlines"]


def _check_parts(_type: object, parts: Sequence[str]) -> None:
    for unknown in set(parts) - set(get_args(Part)):
        raise ValueError(f"{unknown} is none of {', '.join(get_args(Part))}.")


def _check_pair(_type: object, sizes: Sequence[int]) -> None:
    if len(sizes) != 2:
        raise ValueError("Two sizes are compared.")


@bench.command(sort_key=1)
def provisioning(*, sizes: Sizes = (1000, 10_000, 100_000), rounds: int = 3, syncs: int = 200) -> int:
    """Measure backfills and syncs.

    Parameters
    ----------
    sizes:
        Fleet sizes, in depots.
    rounds:
        Runs of each, of which the median counts.
    syncs:
        Circuit changes to time, one after the other.

    """
    from devtools.bench.fleets.provisioning import run

    return asyncio.run(run(sizes, rounds, syncs))


@bench.command(name="import", sort_key=2)
def import_(*, depots: int = 5000, rounds: int = 3) -> int:
    """Measure the import of a legacy fleet.

    Parameters
    ----------
    depots:
        Depots of the fleet, some eleven lines each.
    rounds:
        Imports, of which the median counts.

    """
    from devtools.bench.fleets.imports import run

    return asyncio.run(run(depots, rounds))


@bench.command(sort_key=2)
def fleet(*, sizes: Annotated[Sizes, Parameter(validator=_check_pair)] = (2000, 60_000), rounds: int = 30) -> int:
    """Measure the list of depots in a large fleet, beside a small one.

    Parameters
    ----------
    sizes:
        The small and the large fleet, in depots.
    rounds:
        Times that each is asked, of which the median counts.

    """
    from devtools.bench.fleets.fleet import run

    return asyncio.run(run(sizes[0], sizes[1], rounds))


@bench.command(sort_key=3)
def restart(*, rounds: int = 5, depots: int = 40) -> int:
    """Measure how soon the product works again after `kill -9`.

    Parameters
    ----------
    rounds:
        Kills of each process.
    depots:
        Depots whose circuits change around a worker's kill.

    """
    from devtools.bench.restart import run

    return asyncio.run(run(rounds, depots))


@bench.command(sort_key=6)
def history(
    *, days: int = 365, rounds: int = 100, colds: int = 3, packets: int = 20_000,
    growth: Sizes = (1_000_000, 10_000_000, 50_000_000), flexmeasures: bool = False,
) -> int:  # fmt: skip
    """Measure charts, exports and what is kept of a long history of four meters.

    Parameters
    ----------
    days:
        How long the meters have measured, each ten seconds three measurands: 38 million in a year.
    rounds:
        Times that each chart is asked for.
    colds:
        Times that each is asked for after a start of PostgreSQL, and that each file is exported.
    packets:
        Packets that the API takes, to see what is kept of one: one each half minute until now, of a week at most.
    growth:
        Values in the database, three a reading, with which reads are repeated.
    flexmeasures:
        Install FlexMeasures and ask it for the same charts.

    """
    from devtools.bench.history import HistoryOptions, run

    return asyncio.run(run(HistoryOptions(days, rounds, colds, packets, growth, flexmeasures)))


@bench.command(sort_key=7)
def overhead(*, seconds: float = 1, rounds: int = 8, depots: int = 6400, syncs: int = 100, starts: int = 5) -> int:
    """Measure what it costs that the product is observed: figures fetched, traces sent.

    Parameters
    ----------
    seconds:
        How long single packets are sent to a product before it is another one's turn; arrays four times as long.
    rounds:
        Turns of each after each start, whose median counts; of arrays a quarter.
    depots:
        Depots whose controllers send packets.
    syncs:
        Circuit changes to time after each start, one after the other; 0: none.
    starts:
        Starts of each. Of the packets their mean counts, with its standard error; of the syncs the median.

    """
    from devtools.bench.observing.overhead import OverheadOptions, run

    return asyncio.run(run(OverheadOptions(seconds, rounds, depots, syncs, starts)))


@bench.command(sort_key=4)
def simulation(*, rounds: int = 3, at_once: int = 50, runs: int = 20) -> int:
    """Measure scenario runs, and compare the evidence of equal ones.

    Parameters
    ----------
    rounds:
        Runs of each, of which the median counts.
    at_once:
        Runs at the same time.
    runs:
        Runs of each preset whose hashes are compared.

    """
    from devtools.bench.simulation import run

    return asyncio.run(run(rounds, at_once, runs))


@bench.command(sort_key=5)
def telemetry(
    *,
    seconds: float = 4,
    rounds: int = 3,
    depots: int = 6400,
    processes: int = 1,
    only: Annotated[
        tuple[str, ...],
        Parameter(converter=_split, n_tokens=1, negative=(), show_default=_joined, validator=_check_parts),
    ] = get_args(Part),
) -> int:
    """Measure packets and reads of the status.

    Parameters
    ----------
    seconds:
        Of each measurement.
    rounds:
        Runs of each, of which the median counts.
    depots:
        Depots, each with one gateway.
    processes:
        Processes of the API. `--only several` measures one beside so many, and beside two at least.
    only:
        The parts to run.

    """
    from devtools.bench.telemetry import run

    return asyncio.run(run(seconds, rounds, depots, processes, only))


Minutes = Annotated[float, Parameter(validator=validators.Number(gt=0, lte=24 * 60))]
_SOME = validators.Number(gte=1, lte=8)


@app.command(group=_GROUP, sort_key=6)
def chaos(
    *,
    minutes: Minutes = 3,
    seed: int = 1,
    api: Annotated[int, Parameter(validator=_SOME)] = 1,
    workers: Annotated[int, Parameter(validator=_SOME)] = 1,
    folder: Path | None = None,
) -> int:
    """Kill, pause and restart the parts of a product under traffic, and check that nothing was lost or done twice.

    The product is one of its own. The exit code is 1 where something does not hold.

    Parameters
    ----------
    minutes:
        How long it is disturbed.
    seed:
        Another seed, other faults and other traffic.
    api:
        Processes of the API. They share one address, and faults are done to one of them or to all.
    workers:
        Processes of the worker.
    folder:
        An empty folder for the report and the logs. Without: a new one.

    """
    from cli.commands.up import Processes
    from devtools.chaos.run import run_chaos

    return run_chaos(minutes, seed, Processes(api, workers), folder)
