"""A pytest plugin that runs the fast tests alone: those that start no server, no browser and no other process.

`./dev test --fast` loads it (`-p devtools.testing.fast_tests`). Which tests are fast is read from what they stand on,
so there is nothing to mark. A test that is taken for a fast one and starts a process all the same fails.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from types import ModuleType

import pytest

_SERVERS = frozenset({"postgres_url", "temporal_address", "browser"})
"""The fixtures that start servers; all others that need one stand on these."""
_STARTERS = frozenset(
    {
        "subprocess",
        "devtools.chaos.run",
        "runtime.servers.embedded",
        "runtime.servers.processes",
        "temporalio.testing._workflow",
        "tests.clients.tools",
        "tests.helpers.commands",
        "tests.helpers.mosquitto",
    }
)
"""Modules that start processes. A test's module that has something of theirs is slow."""
_SLOW_FOLDERS = ("tests/commands/", "tests/project/")
"""Commands and the checkout as their users run them."""
_STARTS = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork"})

_running: list[str] = []
"""The test that runs now."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the fast tests."""
    slow = [item for item in items if _is_slow(item)]
    items[:] = [item for item in items if item not in set(slow)]
    config.hook.pytest_deselected(items=slow)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note which test runs, from its first fixture to its last."""
    _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.clear()


def _is_slow(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    module = item.getparent(pytest.Module)
    assert module is not None
    return (
        not _SERVERS.isdisjoint(item.fixturenames)
        or item.nodeid.startswith(_SLOW_FOLDERS)
        or _starts_processes(module.obj)
    )


def _starts_processes(module: ModuleType) -> bool:
    return any(
        value.__name__ in _STARTERS
        if isinstance(value, ModuleType)
        else getattr(value, "__module__", None) in _STARTERS
        for value in vars(module).values()
    )


def _on_event(event: str, _: tuple[object, ...]) -> None:
    if event in _STARTS and _running:
        raise RuntimeError(f"{_running[0]} counts as a fast test and starts a process")


sys.addaudithook(_on_event)
