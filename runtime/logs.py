"""Structured logs: for people on a terminal, as JSON for machines. One line a record, in both."""

from __future__ import annotations

import logging
import sys
import threading
from contextvars import ContextVar
from types import TracebackType
from typing import Literal

import structlog
from structlog.typing import Processor

from runtime.log_lines import add_temporal_ids, add_traceback, bound, console_line

LogFormat = Literal["console", "json"]
"""For people, or for machines."""

_OTHERS = ("uvicorn", "uvicorn.error", "uvicorn.access")
"""Loggers that come with handlers of their own."""
_WITHOUT_END = "ASGI callable returned without completing response."
"""What uvicorn says of an answer that has no end, before it closes the connection."""
end_is_told: ContextVar[bool] = ContextVar("end_is_told", default=False)
"""Whether the application has said itself why the answer of this request has no end."""


def _is_news(record: logging.LogRecord) -> bool:
    return not (end_is_told.get() and record.msg == _WITHOUT_END)


class _Handler(logging.StreamHandler):  # pyright: ignore[reportMissingTypeArgument]
    """Writes to standard error; a record that cannot be written is reported in one line, too."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (the base's name)
        """Say that a record was lost, without what it was to say."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            return  # There is nothing to write to.
        words = f"a line of {record.name} cannot be written: {type(error).__qualname__}"
        lost = logging.LogRecord("logs", logging.ERROR, record.pathname, record.lineno, words, (), None)
        self.stream.write(self.format(lost) + self.terminator)


def configure_logs(log_format: LogFormat) -> None:
    """Send every log line of this process to standard error in ``log_format``.

    That is also what the web server, Temporal's SDK and Python itself have to say: warnings, and errors that nobody
    caught.
    """
    before: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    write: Processor = structlog.processors.JSONRenderer() if log_format == "json" else console_line
    structlog.configure(
        processors=[*before, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _Handler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[
                add_temporal_ids,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                add_traceback,
                bound,
                write,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _OTHERS:
        other = logging.getLogger(name)
        if not (other.handlers or other.propagate):
            continue  # Switched off: so does the web server's --no-access-log.
        other.handlers.clear()
        other.propagate = True
    server = logging.getLogger("uvicorn.error")
    server.removeFilter(_is_news)
    server.addFilter(_is_news)
    # One line a request belongs into a proxy's log; the product's own counters are in /metrics.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.excepthook = _on_uncaught
    threading.excepthook = _on_uncaught_in_thread


def _on_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("process").critical("ended by an error", exc_info=(kind, error, trace))


def _on_uncaught_in_thread(given: threading.ExceptHookArgs) -> None:
    error = given.exc_value
    if error is not None and not isinstance(error, SystemExit):
        name = given.thread.name if given.thread is not None else ""
        structlog.get_logger("process").error("a thread ended by an error", thread=name, exc_info=error)
