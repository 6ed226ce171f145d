"""Outside tools read the API's document, and the clients that they make of it work."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from api.main import create_app
from runtime.settings import Settings
from tests.clients import tools
from tests.helpers.live import serving, working

HERE = Path(__file__).parent.parent / "clients"


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """The API's document in a file."""
    path = tmp_path / "openapi.json"
    path.write_text(json.dumps(create_app(Settings(database_url=SecretStr("postgresql:///none"))).openapi()))
    return path


def test_spectral_finds_nothing(document: Path) -> None:
    # Nobody is named as a contact: that is the matter of whoever runs the product.
    # Its rule of scopes knows those of OAuth flows alone; OpenAPI 3.1 has them for every security scheme.
    rules = "{info-contact: off, oas3-operation-security-defined: off}"
    (document.parent / "rules.yaml").write_text(f"extends: ['spectral:oas']\nrules: {rules}\n")
    spectral = tools.node("@stoplight/spectral-cli/dist/index.js")
    command = [*spectral, "lint", str(document), "--ruleset", "rules.yaml", "--fail-severity", "hint"]
    tools.run(command, cwd=document.parent)


def test_the_types_of_openapi_typescript_compile(document: Path) -> None:
    folder = document.parent
    generate = [*tools.node("openapi-typescript/bin/cli.js"), str(document), "--output", str(folder / "api.ts")]
    # What has a default may be left out of a request.
    tools.run([*generate, "--default-non-nullable", "false"])
    shutil.copy(HERE / "use.ts", folder)
    tools.run([*tools.node("typescript/bin/tsc"), "--noEmit", "--strict", "api.ts", "use.ts"], cwd=folder)


async def test_generated_python_clients_call_the_api(
    document: Path, database_url: str, engine: AsyncEngine, client: Client, task_queue: str
) -> None:
    folder = document.parent
    (folder / "config.yaml").write_text("post_hooks: []\npackage_name_override: depot_microgrid_client\n")
    generate = [tools.python("openapi-python-client"), "generate", "--path", str(document), "--meta", "none"]
    generate += ["--config", "config.yaml", "--output-path", "depot_microgrid_client"]
    said = tools.run(generate, cwd=folder)
    # It leaves out what it cannot read: only texts that are no JSON may be among that.
    left_out = [line for line in said.splitlines() if line.startswith("WARNING") and "ndjson" not in line]
    known = ("/api/depots/import ", "/api/imports ", "/evidence ", "/report.xml ")
    assert [line for line in left_out if not any(path in line for path in known)] == [], said
    assert "Unable to" not in said
    models = [tools.python("datamodel-codegen"), "--input", str(document), "--input-file-type", "openapi"]
    models += ["--output", "models.py", "--output-model-type", "pydantic_v2.BaseModel", "--formatters", "builtin"]
    tools.run(models, cwd=folder)
    shutil.copy(HERE / "drive.py", folder)
    settings = Settings(database_url=SecretStr(database_url), task_queue=task_queue)
    async with serving(settings) as address, working(client, engine, task_queue):
        environment = os.environ | {"NO_PROXY": "127.0.0.1", "PYTHONPATH": str(folder)}
        drive = [tools.python(), "-W", "error::SyntaxWarning", "drive.py", address]
        await asyncio.to_thread(tools.run, drive, folder, environment)
