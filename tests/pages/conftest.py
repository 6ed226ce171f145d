"""What page tests stand on: the real product on a port, and a real browser that looks at it."""

from __future__ import annotations

import asyncio
import inspect
import shutil
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Playwright,
    async_playwright,
    expect,
)
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from uvicorn import Config, Server

from api.main import create_app
from devtools.system_packages import CHROMIUM, find
from runtime.servers.processes import free_port
from runtime.settings import Settings
from runtime.temporal import connect, ensure_search_attributes
from store.base.database import make_engine
from tests.helpers.live import working
from tests.helpers.support import until
from tests.pages.helpers.gate import Gate

ARTIFACTS = Path(__file__).parent.parent / "artifacts"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The bound only ends a broken test.
_PATIENCE = 30_000
expect.set_options(timeout=_PATIENCE)
DESKTOP = (1440, 900)
PHONE = (390, 844)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the page tests share one event loop: that of the browser."""
    mark = pytest.mark.asyncio(loop_scope="session")
    for item in items:
        if Path(__file__).parent in item.path.parents and inspect.iscoroutinefunction(getattr(item, "function", None)):
            item.add_marker(mark, append=False)


class RunningProduct:
    """The product on a port of this machine: API and pages, worker, relay, with a database of their own."""

    def __init__(self, settings: Settings, engine: AsyncEngine, client: Client, gate: Gate) -> None:
        self.settings = settings
        self.gate = gate
        """Through which the API reaches the database; worker and tests have their own way."""
        self.engine = engine
        self.client = client
        self.port = free_port(0)
        self._server: Server | None = None
        self._serving: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Serve the pages, always on the same port."""
        config = Config(
            create_app(self.settings), port=self.port, log_level="critical", ws="none", timeout_graceful_shutdown=3
        )
        self._server = Server(config)
        self._serving = asyncio.create_task(self._server.serve())
        server = self._server

        async def started() -> bool:
            return server.started

        await until(started)

    async def stop(self) -> None:
        """Serve no longer. Open streams are told to end."""
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = True
        await self._serving


def find_chromium(playwright: Playwright) -> str:
    """Find the browser of this machine."""
    program = find(*CHROMIUM) or shutil.which(playwright.chromium.executable_path)
    if program is None:
        pytest.fail("Chromium is not installed. On Debian: apt-get install chromium-headless-shell", pytrace=False)
    return program


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """One browser for all tests of this process."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=find_chromium(playwright), args=ARGUMENTS)
        yield started
        await started.close()


@pytest_asyncio.fixture(loop_scope="session")
async def product(
    database_url: str, temporal_address: str, task_queue: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncGenerator[RunningProduct]:
    """The product, with everything in it at work."""
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal_address)
    client = await connect()
    await ensure_search_attributes(client)
    engine = make_engine(database_url)
    gate = Gate(database_url)
    await gate.open()
    settings = Settings(
        database_url=SecretStr(gate.database_url),
        task_queue=task_queue,
        sync_timeout_seconds=30,
        temporal_ui_url="http://127.0.0.1:8233",
    )
    made = RunningProduct(settings, engine, client, gate)
    async with working(client, engine, task_queue, api_url=made.url):
        await made.start()
        yield made
        await made.stop()
    await gate.close()
    await engine.dispose()


async def _leave(context: BrowserContext) -> None:
    """Close a window. What a test held back on purpose is let go: its end would fail the next test."""
    for page in context.pages:
        await page.unroute_all(behavior="ignoreErrors")
    await context.close()


class Visitor:
    """Someone with a browser. What the browser complains of fails the test."""

    def __init__(self, browser: Browser, product: RunningProduct, stack: AsyncExitStack) -> None:
        self._browser = browser
        self._product = product
        self._stack = stack
        self.complaints: list[str] = []
        self.expected: tuple[str, ...] = ()
        """Complaints that a test brings about on purpose, by a part of their text."""

    async def open(
        self,
        path: str,
        *,
        size: tuple[int, int] = DESKTOP,
        theme: str = "dark",
        zone: str = "Europe/Zurich",
        status: int = 200,
        script: str = "",
        touch: bool = False,
    ) -> Page:
        """Open a page in a window of its own; ``script`` runs before those of the page. ``touch``: for fingers."""
        context = await self._browser.new_context(
            base_url=self._product.url,
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if theme == "dark" else "light",
            timezone_id=zone,
            locale="en-GB",
            has_touch=touch,
            is_mobile=touch,
        )
        self._stack.push_async_callback(_leave, context)
        page = await context.new_page()
        page.set_default_timeout(_PATIENCE)
        if script:
            await page.add_init_script(script)
        page.on("console", self._on_console)
        page.on("pageerror", self._on_error)
        answer = await page.goto(path)
        assert answer is not None
        assert answer.status == status, await answer.text()
        return page

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _on_error(self, error: Error) -> None:
        self.complaints.append(str(error))

    def unexpected(self) -> list[str]:
        """The complaints that nobody brought about."""
        return [text for text in self.complaints if not any(part in text for part in self.expected)]


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(browser: Browser, product: RunningProduct) -> AsyncGenerator[Visitor]:
    """Someone who looks at the pages."""
    async with AsyncExitStack() as stack:
        someone = Visitor(browser, product, stack)
        yield someone
        assert someone.unexpected() == []
