"""Lighthouse finds nothing to mend: accessibility and best practices are 100 on every page."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from playwright.async_api import async_playwright

from devtools.assets import install
from runtime.servers.processes import free_port
from tests.clients.tools import node_program, uv
from tests.pages.conftest import ARGUMENTS, RunningProduct, find_chromium
from tests.pages.helpers.every import every_page, page_routes

_HERE = Path(__file__).parent
_LONGEST = 600
"""Seconds that all pages may take together."""


def installed() -> list[str]:
    """Node, with the packages beside this file, which are installed where they are not the locked ones."""
    wanted, has = _HERE / "package-lock.json", _HERE / "node_modules" / ".locked"
    if not has.exists() or has.read_bytes() != wanted.read_bytes():
        assert install(_HERE, uv()) == 0, "npm could not install the locked packages"
        has.write_bytes(wanted.read_bytes())
    return node_program()


async def test_every_page_has_a_hundred_for_accessibility_and_best_practices(product: RunningProduct) -> None:
    node = await asyncio.to_thread(installed)
    pages = await every_page(product)
    assert set(pages) == page_routes(product)
    port = free_port()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(playwright), args=[*ARGUMENTS, f"--remote-debugging-port={port}"]
        )
        auditing = await asyncio.create_subprocess_exec(
            *node, _HERE / "audit.mjs", str(port), *(f"{product.url}{path}" for path in pages.values()),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(_LONGEST):
                output, _ = await auditing.communicate()
        finally:
            if auditing.returncode is None:
                auditing.kill()
            await browser.close()
    assert auditing.returncode == 0
    told = json.loads(output)
    assert told["audited"] == len(pages)
    assert told["found"] == [], json.dumps(told["found"], indent=2)
