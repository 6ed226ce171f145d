"""Shows how far something is: as a bar on a terminal, elsewhere as a plain line now and then."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn, TimeElapsedColumn

_PLAIN_EVERY = 5.0
"""Seconds between two plain lines."""
_PLAIN_AGAIN = 30.0
"""Seconds after which a plain line that is still true is printed again, with how long it has been."""


class Meter:
    """How far one piece of work is."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._bar = _bar(console) if console.is_terminal else None
        self._task = None if self._bar is None else self._bar.add_task(escape(title), total=None, note="")
        self._line = ""
        self._printed = ""
        self._printed_at = 0.0
        self._first_printed_at = 0.0
        """When what was printed last was printed first."""
        self._turn = threading.Lock()
        self._ended = threading.Event()
        self._teller = threading.Thread(target=self._tell, daemon=True)

    def show(self, done: float, total: float | None, note: str, *, title: str | None = None) -> None:
        """Show that ``done`` of ``total`` is done. ``total`` None: nobody knows how much there is."""
        if title is not None:
            self._title = title
        if self._bar is not None and self._task is not None:
            if total == 0:
                done = total = 1  # nothing to do is all done
            # A task's own total stays when it is told None.
            self._bar.tasks[0].total = total
            self._bar.update(self._task, completed=done, description=escape(self._title), note=escape(note))
            return
        share = f"{done / total:4.0%}  " if total else ""
        self._line = f"{self._title}  {share}{note}"
        if time.monotonic() - self._printed_at >= _PLAIN_EVERY:
            self._print()

    def _print(self) -> None:
        with self._turn:
            line, now = self._line, time.monotonic()
            if line != self._printed:
                self._console.print(escape(line), soft_wrap=True)
                self._printed, self._printed_at, self._first_printed_at = line, now, now

    def _tell(self) -> None:
        """Print what nobody shows anew: the last of a burst, and that something long still goes on."""
        while not self._ended.wait(_PLAIN_EVERY):
            self._print()
            with self._turn:
                now = time.monotonic()
                if self._printed and now - self._printed_at >= _PLAIN_AGAIN:
                    passed = f"{now - self._first_printed_at:.0f} s"
                    self._console.print(escape(f"{self._printed}  {passed}"), soft_wrap=True)
                    self._printed_at = now

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        else:
            self._teller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        else:
            self._ended.set()
            self._teller.join()
            self._print()


def _bar(console: Console) -> Progress:
    columns: list[ProgressColumn] = [
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
    ]
    return Progress(*columns, console=console)
