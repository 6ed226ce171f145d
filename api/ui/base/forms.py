"""What was filled in, and what is wrong with it: every field at once, each beside its field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from fastapi import Request
from pydantic import BaseModel, ValidationError

from domain.base.names import clean_name
from domain.base.problems import Problem, ProblemCode

T = TypeVar("T")
ModelT = TypeVar("ModelT", bound=BaseModel)
_MAX_KILOWATTS = 1e7
_CHOOSE = "Choose one of these."
_WORDS = {
    "uuid_parsing": _CHOOSE,
    "uuid_type": _CHOOSE,
    "enum": _CHOOSE,
    "int_parsing": _CHOOSE,
    "int_parsing_size": _CHOOSE,
    "missing": "Fill this in.",
    "string_too_short": "Fill this in.",
    "string_too_long": "Has at most {max_length} characters.",
}
"""Messages for people, where pydantic's own are for programmers."""


class FieldErrors(dict[str, str]):
    """What is wrong, by the id of the field."""

    def check(self, field: str, read: Callable[[], T]) -> T | None:
        """Read a field; None, and its error noted, where it is refused."""
        try:
            return read()
        except Problem as problem:
            self[field] = problem.detail
            return None

    def read(self, model: type[ModelT], body: Mapping[str, Any], elements: Mapping[str, str]) -> ModelT | None:
        """Read what was filled in exactly as the API reads a body; None, and every error noted, where it is refused.

        ``elements`` has the id of the element for each of the body's fields. A field that was refused before is not
        looked at again.
        """
        given = {name: value for name, value in body.items() if elements.get(name) not in self}
        refused = {elements[name] for name in body.keys() - given.keys()}
        try:
            made = model.model_validate(given)
        except Problem as problem:
            if problem.field is None or problem.field not in elements:
                raise
            self[elements[problem.field]] = problem.detail
            return None
        except ValidationError as error:
            for each in error.errors(include_url=False, include_input=False):
                element = elements[str(each["loc"][0])]
                if element not in refused:
                    words = _WORDS.get(each["type"])
                    message = each["msg"] if words is None else words.format_map(each.get("ctx", {}))
                    self.setdefault(element, message.removeprefix("Value error, "))
            return None
        return None if self else made


def read_name(given: str) -> str:
    """Read a name.

    Raises:
        Problem: ``INVALID_NAME``.

    """
    return clean_name(given)


def read_whole(given: str, most: int) -> int | None:
    """Read a whole number from 0 to ``most``; None: it is none. However many digits come, few are looked at."""
    text = given.strip().lstrip("0") or given.strip()[-1:]
    return int(text) if text.isdecimal() and len(text) <= len(str(most)) and int(text) <= most else None


def shown_address(request: Request) -> SplitResult:
    """The address that the browser shows, from the header that htmx sends; empty if it is invalid."""
    try:
        return urlsplit(request.headers.get("hx-current-url", ""))
    except ValueError:
        return urlsplit("")


def read_kilowatts(given: str) -> float | None:
    """Read a power in kilowatts; the answer is in watts, None where nothing was given.

    Raises:
        Problem: ``INVALID_REQUEST``.

    """
    if not given.strip():
        return None
    try:
        kilowatts = float(given.strip().replace(",", "."))
    except ValueError:
        kilowatts = float("nan")
    if not 0 < kilowatts <= _MAX_KILOWATTS:
        raise Problem(
            ProblemCode.INVALID_REQUEST,
            f"A rated power is a number of kilowatts above 0 and at most {_MAX_KILOWATTS:.0f}, or left empty.",
        )
    return float(f"{kilowatts * 1000:.15g}")
