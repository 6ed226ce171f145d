"""`./dev up` as a person uses it: it comes up with a fleet, other commands find it, and it leaves nothing behind."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.place import DEMO_FLEET, Place
from fleet.make_fleet import CUT_SHORT, fleet
from tests.factories.fleet_lines import flawed
from tests.helpers.live import http_client
from tests.helpers.openid import Surfer
from tests.helpers.up import ROOT, TIMEOUT, Up, running


@pytest.fixture
def started() -> Iterator[list[Up]]:
    """What a test starts; the fixture ends what it leaves running."""
    found: list[Up] = []
    yield found
    for each in found:
        each.kill()


def depots(api_url: str) -> list[dict[str, Any]]:
    """Every depot of the API."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = httpx.get(
            f"{api_url}/api/depots", params={"limit": 500} | cursor, trust_env=False, timeout=TIMEOUT
        ).json()
        found += page["items"]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def provisioned(found: list[dict[str, Any]]) -> dict[str, str]:
    """Each provisioned depot's microgrid."""
    return {each["depot_id"]: each["microgrid_id"] for each in found if each["provisioning"]["state"] == "PROVISIONED"}


def without_ports(printed: str) -> str:
    return re.sub(r":\d+", ":0", printed)


def test_up_shows_a_small_fleet_and_keeps_it(tmp_path: Path, started: list[Up]) -> None:
    started.append(Up(tmp_path, "--port", "0"))
    first = started[0]
    printed = first.until("import FILE")
    shipped = [json.loads(line) for line in DEMO_FLEET.read_text(encoding="utf-8").splitlines()]
    assert "depots 40" in printed
    # The end is the one that README.md shows, but for the ports.
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    ending = readme[readme.index("Running.") :].split("```")[0]
    assert without_ports(printed[printed.index("Running.") :]) == without_ports(ending)
    assert "The scenario quick-look on the Simulation depot: passed" in printed
    before = depots(running(tmp_path).api_url)
    fleet_of = {each["depot_id"] for each in before if each["name"] != "Simulation depot"}
    assert fleet_of == {row["id"] for row in shipped if row["type"] == "depot"}
    # One depot more, for the scenario that brings it to life.
    assert len(provisioned(before)) == len(before) == 41

    other = first.command("up")
    assert other.returncode == 1
    assert "runs already" in other.stderr
    again = first.command("import", str(DEMO_FLEET))
    assert again.returncode == 0
    assert f"unchanged  {len(shipped)}" in again.stdout
    assert "UNCHANGED" in first.command("resync", before[0]["name"]).stdout
    assert first.interrupt() == 0

    started.append(Up(tmp_path, "--port", "0"))
    second = started[1]
    assert "stored" not in second.until("import FILE")
    assert depots(running(tmp_path).api_url) == before
    assert second.interrupt() == 0
    assert Place(tmp_path).running() is None


def test_up_takes_a_fleet_of_ones_own_and_reports_its_flaws_by_line(tmp_path: Path, started: list[Up]) -> None:
    rows = list(fleet(200, seed=3, flaws=True))
    expected = flawed(rows)
    file = tmp_path / "fleet.ndjson"
    file.write_text("".join(f"{CUT_SHORT if row is None else json.dumps(row)}\n" for row in rows))
    folder = tmp_path / "data"
    started.append(Up(folder, "--port", "0", "--fleet", str(file)))
    printed = started[0].until("import FILE")
    assert "depots 200" in printed
    assert f"refused    {len(expected)}, each in" in printed
    report = [json.loads(line) for line in (folder / "import-report.ndjson").read_text().splitlines()]
    assert {each["line"]: each["code"] for each in report} == expected
    tops = {row["depot_id"] for row in rows if row and row["type"] == "circuit" and row["name"] not in ("Spare", "   ")}
    assert provisioned(depots(running(folder).api_url)).keys() == tops
    assert started[0].interrupt() == 0


def test_an_ephemeral_up_leaves_no_folder_behind(tmp_path: Path, started: list[Up]) -> None:
    started.append(Up(tmp_path / "home", "--ephemeral", "--port", "0", "--no-demo"))
    printed = started[0].until("import FILE")
    folder = Path(printed.splitlines()[0].removeprefix("Data and logs: "))
    assert folder.is_absolute()
    assert folder.exists()
    assert depots(running(folder).api_url) == []
    # Nobody else of this machine may look; as root, PostgreSQL's own user gets through to its data.
    assert folder.stat().st_mode & (stat.S_IRWXO | stat.S_IRGRP | stat.S_IWGRP) == 0
    assert {stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir() if each.is_dir()} == {0o700}
    # Commands find it by themselves, on whatever port it is.
    found = started[0].command("resync", "Nobody")
    assert (found.returncode, "No depot's name contains" in found.stderr) == (1, True)
    other = Up(tmp_path / "home", "--ephemeral", "--port", "0", "--no-demo")
    started.append(other)
    there = other.until("import FILE")
    # Now nobody knows which is meant.
    refused = other.command("resync", "Nobody")
    assert refused.returncode == 1
    urls = {running(folder).api_url, running(Path(there.splitlines()[0].removeprefix("Data and logs: "))).api_url}
    assert all(f"--api {url}" in refused.stderr for url in urls)
    assert f"./dev resync DEPOT --api {running(folder).api_url}" not in there
    for url in urls:
        assert "No depot's name contains" in other.command("resync", "Nobody", "--api", url).stderr
    assert other.interrupt() == 0
    assert "No depot's name contains" in started[0].command("resync", "Nobody").stderr
    assert started[0].interrupt() == 0
    assert not folder.exists()
    assert not (tmp_path / "home").exists()
    assert "does not run" in started[0].command("resync", "Nobody").stderr


async def test_up_lets_people_sign_in_and_each_do_what_their_role_permits(tmp_path: Path, started: list[Up]) -> None:
    started.append(Up(tmp_path, "--sign-in", "--no-demo", "--port", "0"))
    up = started[0]
    printed = up.until("Audrey Auditor")
    url = running(tmp_path).api_url
    assert f"Pages     {url}/" in printed
    # Whoever sits at the machine has to sign in, too.
    async with http_client(url) as caller:
        assert (await caller.get("/api/depots")).status_code == 401
    body = {"name": "Arrow Road", "timezone": "UTC"}
    created: dict[str, int] = {}
    for login in ("administrator", "operator", "viewer"):
        assert f"  {login}" in printed
        async with Surfer() as somebody:
            page = await somebody.sign_in(f"{url}/", login)
            assert (page.status_code, str(page.url)) == (200, f"{url}/")
            created[login] = (await somebody.change("POST", f"{url}/api/depots", json=body)).status_code
            (depot,) = (await somebody.send("GET", f"{url}/api/depots")).json()["items"]
            assert depot["name"] == "Arrow Road"
    assert created == {"administrator": 201, "operator": 403, "viewer": 403}
    assert up.interrupt() == 0


def test_up_is_not_open_to_others_without_a_provider(tmp_path: Path) -> None:
    up = Up(tmp_path, "--port", "0", host="0.0.0.0")
    try:
        printed, _ = up.process.communicate(timeout=TIMEOUT)
    finally:
        up.kill()
    assert up.process.returncode == 1
    assert "MANAGE_OIDC_ISSUER" in printed
