"""Forms drawn from a JSON Schema: which fields there are, what each takes, and the document that a form stands for.

It knows the forms that the served schemas of sensor actions have (an array of choices, a number that may be null, a
boolean, a constant), and nothing of any action. It does not validate documents.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

from starlette.datastructures import FormData

from api.ui.base.forms import FieldErrors
from api.ui.base.words import figure
from domain.base.violations import Violation


class FieldKind(StrEnum):
    """How a field is drawn."""

    CHOICES = "CHOICES"
    NUMBER = "NUMBER"
    SWITCH = "SWITCH"


@dataclass(frozen=True)
class Choice:
    """One of the values that may be chosen."""

    value: str
    title: str
    is_required: bool


@dataclass(frozen=True)
class SchemaField:
    """One property of a document."""

    name: str
    kind: FieldKind
    title: str
    description: str
    default: Any
    choices: tuple[Choice, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    is_optional: bool = False
    """Whether a number may be left empty, which is null."""
    unit: str = ""
    """Of a number, as people read and write it."""
    factor: float = 1
    """How many of the document's units that is: documents have watts, people kilowatts."""

    @property
    def limits(self) -> str:
        """What a number lies between, in words."""
        if self.minimum is None or self.maximum is None:
            return ""
        return f"{figure(self.minimum / self.factor)} to {figure(self.maximum / self.factor)}"

    def say(self, value: Any) -> str:
        """A value of the document, to be read."""
        if self.unit == "kW" and value is None:
            return "0: charging stops"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return in_words(value / self.factor if is_number else value)


def draw_fields(schema: Mapping[str, Any]) -> list[SchemaField]:
    """Say which fields a document of this schema has; constants are not among them."""
    return [
        _field(name, field, schema.get("required", ()))
        for name, field in schema["properties"].items()
        if "const" not in field
    ]


def constants(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What every document of this schema says."""
    return {name: field["const"] for name, field in schema["properties"].items() if "const" in field}


def _field(name: str, field: Mapping[str, Any], required: Iterable[str]) -> SchemaField:
    kinds = field["type"] if isinstance(field["type"], list) else [field["type"]]
    title, description = field.get("title", name), field.get("description", "")
    if "array" in kinds:
        needed = {each["contains"]["const"] for each in field.get("allOf", ())}
        choices = tuple(
            Choice(each["const"], each.get("title", each["const"]), each["const"] in needed)
            for each in field["items"]["oneOf"]
        )
        return SchemaField(name, FieldKind.CHOICES, title, description, [], choices)
    if "boolean" in kinds:
        return SchemaField(name, FieldKind.SWITCH, title, description, field.get("default", False))
    unit = str(field.get("unit", ""))
    shown, factor = ("kW", 1000) if unit == "W" else (unit, 1)
    return SchemaField(
        name,
        FieldKind.NUMBER,
        title.replace(f"({unit})", f"({shown})"),
        description,
        field.get("default"),
        minimum=field.get("minimum"),
        maximum=field.get("maximum"),
        is_optional="null" in kinds and name not in required,
        unit=shown,
        factor=factor,
    )


def fill(fields: Sequence[SchemaField], document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document as its form is filled in: numbers as text; what it leaves out as its default."""
    return {field.name: _filled(field, document.get(field.name, field.default)) for field in fields}


def _filled(field: SchemaField, value: Any) -> Any:
    if field.kind is not FieldKind.NUMBER:
        return value
    return "" if value is None else f"{value / field.factor:.15g}"


def read_form(fields: Sequence[SchemaField], form: FormData, prefix: str = "") -> dict[str, Any]:
    """Read what was filled in, in the form of ``fill``; ``prefix`` stands before the names in the form."""
    values: dict[str, Any] = {}
    for field in fields:
        name = prefix + field.name
        if field.kind is FieldKind.CHOICES:
            values[field.name] = [str(value) for value in form.getlist(name)]
        elif field.kind is FieldKind.SWITCH:
            values[field.name] = name in form
        else:
            values[field.name] = str(form.get(name, ""))
    return values


def write_form(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    """Write values as ``read_form`` reads them back: names and values of a form's elements."""
    written: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, bool):
            written += [(prefix + name, "on")] if value else []
        elif isinstance(value, list):
            written += [(prefix + name, str(each)) for each in cast("list[Any]", value)]
        else:
            written.append((prefix + name, str(value)))
    return written


def make_document(fields: Sequence[SchemaField], values: Mapping[str, Any]) -> dict[str, Any]:
    """Make the document; an invalid number stays the text that was entered, for the validation to refuse."""
    return {
        field.name: _number(field, values[field.name]) if field.kind is FieldKind.NUMBER else values[field.name]
        for field in fields
    }


def _number(field: SchemaField, given: str) -> Any:
    text = given.strip()
    if not text and field.is_optional:
        return None
    try:
        return float(f"{float(text.replace(',', '.')) * field.factor:.15g}")
    except ValueError:
        return text


def in_words(value: Any) -> str:
    """A value of a document, to be read."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, int | float):
        return figure(value)
    return str(value) if isinstance(value, str) else ", ".join(str(each) for each in value)


def note_violations(
    errors: FieldErrors, prefix: str, violations: Iterable[Violation], fields: Iterable[SchemaField] = ()
) -> None:
    """Put all that is wrong with a document beside the fields that it is about, in the units of the form."""
    scaled = {each.name: each for each in fields if each.factor != 1}
    for violation in violations:
        name = violation.pointer.removeprefix("/").split("/")[0]
        field = f"{prefix}-{name}"
        reason = f"Is a number from {scaled[name].limits} {scaled[name].unit}." if name in scaled else violation.reason
        message = errors.get(field, "")
        if reason not in message:
            errors[field] = f"{message} {reason}".strip()
