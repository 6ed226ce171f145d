"""What one log line is: a record without secrets, of bounded size, on one line, whatever was given to it.

A log line is written on the event loop. So nothing here takes longer for a large value, an endless chain of errors
or a deep recursion than it does for an ordinary one, and nothing here looks at local variables: they hold secrets.
"""

from __future__ import annotations

import json
import math
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from itertools import islice
from types import TracebackType
from typing import Any, cast

from structlog.typing import EventDict, WrappedLogger

MAX_LINE = 16_000
"""Characters of all values of a line together."""
MAX_VALUE = 2_000
"""Characters of one value."""
MAX_TRACEBACK = 8_000
"""Characters of a traceback: of a longer one the beginning and the end are kept."""
MAX_FRAMES = 20
"""Calls that are shown of each error: the innermost ones."""
MAX_ERRORS = 4
"""Errors that are shown of a chain of causes, and of a group."""
_MAX_KEYS = 40
_MAX_ITEMS = 50
_MAX_DEPTH = 3
_MAX_INTEGER = 2**64
_CUT = " […] "

_MARGIN = 2_000
"""Characters beyond a cut in which passwords are looked for all the same."""
_SECRETS = (
    (re.compile(r"(://[^\s:/@'\"]{0,200}):[^\s'\"]{1,500}(@| \[…\])"), r"\1:***\2"),
    (re.compile(r"(\b(?:password|sslpassword|api_key)=)[^\s&'\"]{1,500}", re.IGNORECASE), r"\1***"),
)
"""Passwords in addresses. Settings that hold one do not show it; this is for what libraries quote."""
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What would end the line, or show something else than is there."""

_TEMPORAL_IDS = {
    "workflow_id": "workflow_id",
    "run_id": "workflow_run_id",
    "workflow_run_id": "workflow_run_id",
    "workflow_type": "workflow_type",
    "activity_id": "activity_id",
    "activity_type": "activity_type",
    "attempt": "attempt",
}
"""What is kept of the details that Temporal gives to its records, and how it is called in a line."""
_REQUEST_IDS = ("depot_id", "request_id")
"""What a workflow's own lines say of what it is for."""
_DEPOT_SYNC = re.compile(r"microgrid-sync/([0-9a-f-]{36})")
_RUN_ID = re.compile(r"run ID ([0-9a-f-]{36})")
"""How Temporal's worker names a workflow run of which it has no details at hand."""


def add_temporal_ids(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Say which workflow and activity a record of Temporal's own is about; what is bound already stays."""
    record = event.get("_record")
    for name in ("temporal_workflow", "temporal_activity"):
        details = getattr(record, name, None)
        if isinstance(details, Mapping):
            known = cast("Mapping[str, Any]", details)
            for key, shown in _TEMPORAL_IDS.items():
                if key in known:
                    event.setdefault(shown, known[key])
    for name in _REQUEST_IDS:
        if (found := getattr(record, name, None)) is not None:
            event.setdefault(name, found)
    core = getattr(record, "temporal_log", None)
    if core is not None:
        event.setdefault("fields", getattr(core, "fields", None))
    if sync := _DEPOT_SYNC.fullmatch(str(event.get("workflow_id", ""))):
        event.setdefault("depot_id", sync[1])
    if found := _RUN_ID.search(str(event.get("event", ""))):
        event.setdefault("workflow_run_id", found[1])
    return event


def add_traceback(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Put the plain traceback of the record's error into ``traceback``."""
    found = event.pop("exc_info", None)
    if isinstance(found, tuple):
        found = cast("tuple[Any, ...]", found)[1]
    elif found and not isinstance(found, BaseException):
        found = sys.exc_info()[1]
    if isinstance(found, BaseException):
        event["traceback"] = plain_traceback(found)
    return event


def bound(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Make every value one that JSON can hold, without passwords, and all of them together no longer than allowed."""
    left = MAX_LINE
    bounded: dict[str, Any] = {}
    for key, value in islice(event.items(), _MAX_KEYS):
        allowed = max(0, min(left, MAX_TRACEBACK if key == "traceback" else MAX_VALUE))
        plain = _plain(value, allowed, _MAX_DEPTH)
        size = len(plain) if isinstance(plain, str) else 8
        if isinstance(plain, (list, dict)):
            size = len(text := json.dumps(plain))
            if size > allowed:
                plain = _cut(text, allowed)
        bounded[_cut(str(key), 100)] = plain
        left -= size
    return bounded


def console_line(_: WrappedLogger, __: str, event: EventDict) -> str:
    """Write a record for people: when, how grave, what, who says so, and everything else as ``name=value``."""
    moment, level = event.pop("timestamp", ""), event.pop("level", "")
    said, logger = event.pop("event", ""), event.pop("logger", "")
    rest = "".join(f" {key}={_quoted(value)}" for key, value in event.items())
    return _CONTROLS.sub(_escaped, f"{moment} {level:<8} {said} [{logger}]{rest}")


def plain_traceback(error: BaseException) -> str:
    """Write an error as Python does, with its causes; of many calls and many errors only some.

    Where it was raised comes last and is always there.
    """
    parts: list[str] = []
    for place, (each, joint) in enumerate(_chain(error)):
        parts.append(joint)
        parts.append(_one(each) if place < MAX_ERRORS else "(further causes are not shown)\n")
        if place >= MAX_ERRORS:
            break
    return _cut_middle("".join(reversed(parts)).rstrip("\n"), MAX_TRACEBACK)


_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"


def _chain(error: BaseException) -> Iterable[tuple[BaseException, str]]:
    """The error and its causes, each with what stands between it and the one that it led to."""
    seen: set[int] = set()
    current: BaseException | None = error
    joint = ""
    while current is not None and id(current) not in seen:
        yield current, joint
        seen.add(id(current))
        if current.__cause__ is not None:
            current, joint = current.__cause__, _CAUSE
        else:
            current, joint = (None if current.__suppress_context__ else current.__context__), _CONTEXT


def _one(error: BaseException) -> str:
    said = _cut_middle(_text(error), MAX_VALUE)
    name = type(error).__qualname__
    module = type(error).__module__
    title = name if module in ("builtins", "__main__") else f"{module}.{name}"
    lines = [*_calls(error.__traceback__), f"{title}: {said}\n" if said else f"{title}\n"]
    if isinstance(error, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", error)
        for place, each in enumerate(group.exceptions[:MAX_ERRORS], 1):
            lines += [f"  {place} of {len(group.exceptions)}: {type(each).__qualname__}: {_cut(_text(each), 300)}\n"]
            lines += [
                f"    {line}" for call in _calls(each.__traceback__, 3) for line in call.splitlines(keepends=True)
            ]
    return "".join(lines)


def _calls(trace: TracebackType | None, frames: int = MAX_FRAMES) -> list[str]:
    if trace is None:
        return []
    walk = traceback.walk_tb(trace)
    found = traceback.StackSummary.extract(walk, limit=-frames, lookup_lines=True, capture_locals=False)
    return ["Traceback (most recent call last):\n", *(_cut(call, 500) for call in found.format())]


def _plain(value: object, allowed: int, depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return _plain(value.value, allowed, depth)
    if isinstance(value, int) and abs(value) < _MAX_INTEGER:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, str):
        return _cut_middle(_without_secrets(_cut_middle(value, allowed + _MARGIN)), allowed)
    if isinstance(value, (bytes, bytearray)):
        return _plain(repr(bytes(value[:allowed])), allowed, depth)
    if depth and isinstance(value, Mapping):
        items = islice(cast("Mapping[Any, Any]", value).items(), _MAX_ITEMS)
        return {_cut(_text(key), 100): _plain(each, allowed, depth - 1) for key, each in items}
    if depth and isinstance(value, (Sequence, set, frozenset)):
        return [_plain(each, allowed, depth - 1) for each in islice(cast("Iterable[Any]", value), _MAX_ITEMS)]
    if isinstance(value, BaseException):
        return _plain(f"{type(value).__qualname__}: {_text(value)}", allowed, depth)
    return _plain(_text(value), allowed, depth)


def _text(value: object) -> str:
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        return f"({type(value).__name__} of {len(value)})"  # pyright: ignore[reportUnknownArgumentType]
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a log line is written, whatever it is about
        return f"({type(value).__qualname__} that cannot be shown)"


def _without_secrets(text: str) -> str:
    for secret, instead in _SECRETS:
        text = secret.sub(instead, text)
    return text


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if not value or re.search(r"[\s\"'=\\]", value) else value
    return json.dumps(value, ensure_ascii=False)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _cut(text: str, allowed: int) -> str:
    return text if len(text) <= allowed else text[:allowed] + _CUT.rstrip()


def _cut_middle(text: str, allowed: int) -> str:
    if len(text) <= allowed:
        return text
    half = allowed // 2
    return text[:half] + _CUT + (text[-half:] if half else "")
