"""API tokens by the command line, and commands that prove who runs them with one."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from runtime.settings import Settings
from tests.helpers.commands import run
from tests.helpers.live import serving
from tests.helpers.support import make_depot


async def called(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(run, *arguments, **environment)


@pytest.mark.usefixtures("client")
async def test_a_token_is_created_used_listed_and_revoked(
    engine: AsyncEngine, database_url: str, tmp_path: Path
) -> None:
    await make_depot(engine, "Feed", name="[bold]Arrow Road[/]")
    async with serving(Settings(database_url=SecretStr(database_url))) as address:
        asked = ["token", "create", "CI [1]", "--role", "operator", "--role", "qa", "--depot", "Arrow"]
        made = await called(*asked, MANAGE_API_URL=address)
        token = made.stdout.strip()
        assert (made.returncode, token[:4], made.stdout.count("\n")) == (0, "mgt_", 1)
        assert token not in made.stderr
        token_id = made.stderr.split()[1]

        listed = await called("token", "list", MANAGE_API_URL=address)
        line = next(each for each in listed.stdout.splitlines() if token_id in each)
        assert "CI [1]" in line
        assert "operator of [bold]Arrow Road[/], qa of" in line
        assert "never" in line

        file = tmp_path / "token"
        file.write_text(f"{token}\n")
        for given in ({"MANAGE_TOKEN": token}, {"MANAGE_TOKEN_FILE": str(file)}):
            refused = await called("backfill", "--dry-run", MANAGE_API_URL=address, **given)
            assert (refused.returncode, "NOT_PERMITTED" in refused.stderr) == (1, True)
            assert token not in refused.stdout + refused.stderr
        mine = await called("token", "list", MANAGE_API_URL=address, MANAGE_TOKEN=token)
        assert "no tokens" in mine.stdout

        assert (await called("token", "revoke", token_id, MANAGE_API_URL=address)).returncode == 0
        refused = await called("resync", "Arrow", MANAGE_API_URL=address, MANAGE_TOKEN=token)
        assert "TOKEN_REFUSED" in refused.stderr
        again = await called("token", "revoke", token_id, MANAGE_API_URL=address)
        assert (again.returncode, "API_TOKEN_NOT_FOUND" in again.stderr) == (1, True)


def test_a_token_is_sent_nowhere_in_the_clear(tmp_path: Path) -> None:
    secret = "mgt_" + "A" * 43
    answer = run("backfill", MANAGE_API_URL="http://manage.example", MANAGE_TOKEN=secret)
    assert (answer.returncode, "Name the API by https." in answer.stderr) == (1, True)
    both = run("backfill", MANAGE_API_URL="https://manage.example", MANAGE_TOKEN=secret, MANAGE_TOKEN_FILE="x")
    assert "set one of them" in both.stderr
    none = run("backfill", MANAGE_API_URL="https://manage.example", MANAGE_TOKEN_FILE=str(tmp_path))
    assert "It names a folder" in none.stderr
    odd = run("backfill", MANAGE_API_URL="https://manage.example", MANAGE_TOKEN="mgt_\x1bA")
    assert "holds no token" in odd.stderr
    for each in (answer, both, none, odd):
        assert each.returncode == 1
        assert secret not in each.stdout + each.stderr
        assert "Traceback" not in each.stderr
