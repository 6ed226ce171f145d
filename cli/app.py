"""The product's commands, and what each takes. What a command needs is imported when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import UUID

from cyclopts import App, Group, Parameter, validators
from cyclopts.types import ExistingFile

from domain.access.roles import Role
from domain.history.exports import ExportFormat, ExportKind
from runtime.version import version

_PRODUCT = Group("The product", sort_key=1)
_HELP = """\
One trustworthy microgrid for each electric-bus depot.

New here? `./dev up` brings everything up with a small fleet, and `./dev COMMAND --help` gives the details of a command.
"""

app = App(name="./dev", help=_HELP, version=version, version_flags=["--version"])
app["--help"].group = app["--version"].group = Group("Options", sort_key=3)

Flag = Annotated[bool, Parameter(negative=(), show_default=False)]
ApiUrl = Annotated[str | None, Parameter(name="--api", show_default=False)]
_SOME = validators.Number(gte=1, lte=64)
Controllers = Annotated[tuple[ExistingFile, ...], Parameter(negative=(), show_default=False)]


@app.command(group=_PRODUCT, sort_key=1)
def up(
    *,
    fleet: ExistingFile | None = None,
    ephemeral: Flag = False,
    port: Annotated[int | None, Parameter(validator=validators.Number(gte=0, lte=65_535))] = None,
    no_demo: Flag = False,
    sign_in: Flag = False,
    api: Annotated[int, Parameter(validator=_SOME)] = 1,
    workers: Annotated[int, Parameter(validator=_SOME)] = 1,
) -> int:
    """Bring the product up on this machine, with a small fleet to look at.

    Starts PostgreSQL, Temporal, the worker and the API, and stops them all with Ctrl-C. The data stays in
    `.data/`, or where MANAGE_DATA_DIR says. The first time, a small fleet is imported and every depot gets its
    microgrid.

    With DATABASE_URL, or with Temporal's own configuration (TEMPORAL_ADDRESS or TEMPORAL_CONFIG_FILE) in the
    environment, those servers are used instead of embedded ones.

    Parameters
    ----------
    fleet:
        Import this fleet (NDJSON) instead of the small one.
    ephemeral:
        Keep nothing: work in a temporary folder.
    port:
        The API's port, 0 for any that is free. Without it: 8000, or a free one where that is taken.
    no_demo:
        Import nothing.
    sign_in:
        Let people sign in: start an OpenID provider on this machine with one demo person a role, for development
        alone.
    api:
        So many API processes behind the one address. Each serves its own figures, on a port that is printed.
    workers:
        So many worker processes.

    """
    from cli.commands.up import Processes, run_up
    from runtime.settings import load_settings

    processes = Processes(api, workers)
    return run_up(
        load_settings(), fleet, port, ephemeral=ephemeral, demo=not no_demo, sign_in=sign_in, processes=processes
    )


@app.command(name="import", group=_PRODUCT, sort_key=2)
def import_(
    file: ExistingFile,
    /,
    *,
    watch: Annotated[bool | None, Parameter(show_default=False)] = None,
    api: ApiUrl = None,
) -> int:
    """Take a legacy fleet in.

    Good lines land, and each refused one is reported with its reason. Importing a file again changes nothing.
    It provisions nothing: that is the work of `./dev backfill`.

    Parameters
    ----------
    file:
        NDJSON: depots, circuits, gateways, devices and power sources, as `./dev fleet` writes them.
    watch:
        Have a job import it, which goes on without this command: watch the job, or with --no-watch only start it.
        Without either, the command imports it and ends with the report.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.fleet_import import run_import

    name_api(api)
    return run_import(file, watch=watch)


@app.command(group=_PRODUCT, sort_key=3)
def backfill(
    *,
    dry_run: Flag = False,
    page_size: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    watch: Annotated[bool | None, Parameter(show_default=False)] = None,
    api: ApiUrl = None,
) -> int:
    """Give every depot of the legacy fleet its microgrid.

    Running it again creates nothing twice. The exit code is 0 when it completed, 1 when it failed or was
    cancelled.

    Parameters
    ----------
    dry_run:
        Only say what would be done.
    page_size:
        Depots in one transaction.
    watch:
        Show progress and wait for the end, as it does on a terminal. Otherwise it goes on by itself.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.backfill import run_backfill

    name_api(api)
    return run_backfill(dry_run=dry_run, page_size=page_size, watch=watch)


@app.command(group=_PRODUCT, sort_key=4)
def resync(depot: str, /, *, api: ApiUrl = None) -> int:
    """Make a depot's microgrid equal to its circuits again, and say what was repaired.

    The exit code is 1 where the depot has no top-level circuit, so that it can have no grid connection.

    Parameters
    ----------
    depot:
        The depot's id, or its name where only one depot can be meant.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.resync import run_resync

    name_api(api)
    return run_resync(depot)


@app.command(group=_PRODUCT, sort_key=5)
def rollups(
    *,
    check: Flag = False,
    days: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    repair: bool = True,
    api: ApiUrl = None,
) -> int:
    """Show how far readings are rolled up; check the rollups, and make them right.

    The exit code is 1 where a check found differences.

    Parameters
    ----------
    check:
        Hold the rollups against the readings that they are made from.
    days:
        Of so many of the last whole days. Without it: of all of which readings are kept.
    repair:
        Make right what differs; otherwise only count it.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.upkeep.rollups import run_rollups

    name_api(api)
    return run_rollups(check=check, days=days, repair=repair)


@app.command(group=_PRODUCT, sort_key=5)
def export(
    kind: ExportKind | None = None,
    /,
    *,
    since: str | None = None,
    until: str | None = None,
    depot: str | None = None,
    format_: Annotated[ExportFormat, Parameter(name="--format")] = ExportFormat.CSV,
    file: Path | None = None,
    resume: UUID | None = None,
    watch: Annotated[bool | None, Parameter(show_default=False)] = None,
    api: ApiUrl = None,
) -> int:
    """Export readings or a history into a file, however large.

    A job makes the file, which goes on without this command. It is watched, and its file is downloaded; a download that
    broke off goes on where it ended. The exit code is 0 when the file is whole.

    Parameters
    ----------
    kind:
        What the file has a row for.
    since:
        From then on, such as 2026-11-27 or 2026-11-27T08:30Z; in UTC unless it says otherwise. Without it: a day long.
    until:
        Before then. Without it: now.
    depot:
        A depot's id or name. Without it: all that you see.
    format_:
        The format of the file.
    file:
        Where it goes. Without it: into this folder, under a name that says what is in it.
    resume:
        Go on with an export that was started before, by its id.
    watch:
        Wait for the file; --no-watch only starts the job.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.export import Asked, run_export

    name_api(api)
    asked = None if kind is None else Asked(kind, since, until, depot, format_)
    return run_export(asked, resume, file, watch=watch)


@app.command(group=_PRODUCT, sort_key=5)
def versions(*, current: Annotated[str | None, Parameter(show_default=False)] = None) -> int:
    """Show the versions of the worker, and which of them takes what comes.

    Of each: whether it is the current one, since when, and how many workflows run that it worked on last. A new release
    becomes the current version by itself when its worker starts.

    Parameters
    ----------
    current:
        Make the version with this build id the current one, or `unversioned`: workers of releases before 0.2.0.

    """
    from cli.upkeep.versions import run_versions

    return run_versions(current)


@app.command(group=_PRODUCT, sort_key=5)
def fleet(
    depots: Annotated[int, Parameter(validator=validators.Number(gte=1))], /, *, seed: int = 1, flaws: Flag = False
) -> int:
    """Write a made-up legacy fleet to standard output, as NDJSON.

    The same arguments always give the same bytes.

    Parameters
    ----------
    depots:
        How many.
    seed:
        Another seed, another fleet.
    flaws:
        Make about one line in twenty wrong, in the ways in which real exports are wrong.

    """
    from cli.commands.fleet_make import run_fleet

    return run_fleet(depots, seed, flaws=flaws)


token = App(
    name="token",
    help="API tokens, by which scripts and CI prove who made them.",
    group=_PRODUCT,
    sort_key=7,
    version_flags=[],
)
app.command(token)


@token.command(name="create")
def token_create(
    name: str,
    /,
    *,
    role: tuple[Role, ...] = (Role.VIEWER,),
    depot: tuple[str, ...] = (),
    days: Annotated[int, Parameter(validator=validators.Number(gte=1, lte=366))] = 90,
    api: ApiUrl = None,
) -> int:
    """Create a token and print it. It is shown this once; commands send what MANAGE_TOKEN holds.

    Parameters
    ----------
    name:
        What it is for.
    role:
        What it may, as docs/access.md has it; several times for several roles.
    depot:
        A depot's id or name; several times for several. Without any: all depots.
    days:
        When it ends.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.token import run_create

    name_api(api)
    return run_create(name, role, depot, days)


@token.command(name="list")
def token_list(*, api: ApiUrl = None) -> int:
    """List your tokens; as an administrator of all depots, everybody's.

    Parameters
    ----------
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.token import run_list

    name_api(api)
    return run_list()


@token.command(name="revoke")
def token_revoke(token_id: UUID, /, *, api: ApiUrl = None) -> int:
    """Revoke a token: from now on nobody gets in with it.

    Parameters
    ----------
    token_id:
        The token's id, as `./dev token list` shows it.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.token import run_revoke

    name_api(api)
    return run_revoke(str(token_id))


@app.command(group=_PRODUCT, sort_key=8)
def login(*, api: ApiUrl = None) -> int:
    """Sign in as yourself, where people sign in: later commands there may what you may.

    Prints an address and a code, and waits until you have confirmed the code in a browser, on any machine. What the
    provider gives is kept in your configuration folder, for this API alone. MANAGE_TOKEN, where it is set, counts
    before it.

    Parameters
    ----------
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.login import run_login

    name_api(api)
    return run_login()


@app.command(group=_PRODUCT, sort_key=9)
def logout(*, api: ApiUrl = None) -> int:
    """Forget what `./dev login` kept, and have it end at the provider.

    Parameters
    ----------
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.login import run_logout

    name_api(api)
    return run_logout()


scenario = App(
    name="scenario",
    help="Scenarios of the depot simulation: write, check, list, run, compare.",
    group=_PRODUCT,
    sort_key=6,
    version_flags=[],
)
app.command(scenario)


@scenario.command(name="list")
def scenario_list() -> int:
    """List the presets."""
    from cli.commands.scenario import run_list

    return run_list()


@scenario.command(name="validate")
def scenario_validate(*files: ExistingFile, controller: Controllers = ()) -> int:
    """Check scenarios: their form, their sense, and what they expect of their own packets.

    All errors are reported at once, each with its line, its place and a code. The exit code is 1 if there are any.

    Parameters
    ----------
    files:
        Scenario files; without any, all presets.
    controller:
        A table file of another controller revision, which scenarios then name by the file's name.

    """
    from cli.commands.scenario import run_validate

    return run_validate(files, controller)


@scenario.command(name="new")
def scenario_new(name: str, /, *, like: str | None = None) -> int:
    """Begin a scenario: write NAME.yaml into this folder.

    Parameters
    ----------
    name:
        Its name: small letters, digits and hyphens.
    like:
        Begin with a copy of this preset.

    """
    from cli.commands.scenario import run_new

    return run_new(name, like)


@scenario.command(name="run")
def scenario_run(
    *scenarios: str,
    all_: Annotated[bool, Parameter(name="--all", negative=(), show_default=False)] = False,
    depot: str | None = None,
    seed: Annotated[int, Parameter(validator=validators.Number(gte=0))] = 1,
    time_scale: Annotated[float, Parameter(validator=validators.Number(gte=0, lte=1))] = 0,
    provision: Flag = False,
    force: Flag = False,
    twice: Flag = False,
    confirm: str | None = None,
    junit: Path | None = None,
    html: Path | None = None,
    evidence: Path | None = None,
    api: ApiUrl = None,
) -> int:
    """Run scenarios against the product, and check what they expect of it.

    The exit code is 1 where an expectation fails, or where the second of two equal runs gives other
    evidence than the first.

    Parameters
    ----------
    scenarios:
        Names of presets, or scenario files.
    all_:
        Run every preset.
    depot:
        The depot's id or name. Without it: a simulation depot of its own, made and configured where it is missing.
    seed:
        Another seed, another day.
    time_scale:
        Real seconds a virtual second: 0 for as fast as possible, 1 for real time.
    provision:
        Set up what the depot's configuration lacks, through the public API.
    force:
        Run although the configuration lacks what the scenario expects something of.
    twice:
        Run each scenario twice and compare the evidence.
    confirm:
        The depot's name, where real devices reported within the last day: the run sends in their place.
    junit:
        Write a JUnit XML report of all runs into this file.
    html:
        Write the report into this file; with several scenarios, or where it is a folder, into that folder.
    evidence:
        Write the evidence (NDJSON) into this file; with several scenarios, or where it is a folder, into that folder.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.scenario_run import Asked, run_scenarios
    from cli.errors import CommandFailedError
    from sim_scenarios.runs.library import preset_names

    name_api(api)
    if bool(scenarios) is all_:
        raise CommandFailedError("Name scenarios, or say --all for every preset.")
    wanted = preset_names() if all_ else scenarios
    kept = (junit, html, evidence)
    return run_scenarios(Asked(wanted, depot, seed, time_scale, provision, force, twice, confirm, *kept))


@scenario.command(name="diff")
def scenario_diff(first: str, second: str, /, *, api: ApiUrl = None) -> int:
    """Say where two runs differ; the exit code is 1 where they do.

    Parameters
    ----------
    first:
        A run's id, or a file of its evidence.
    second:
        Another one.
    api:
        The API's address. Without it: what MANAGE_API_URL names, else the running `./dev up` of this folder.

    """
    from cli.client import name_api
    from cli.commands.scenario_run import run_diff

    name_api(api)
    return run_diff(first, second)
