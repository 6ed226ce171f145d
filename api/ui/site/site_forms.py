"""What the dialogs of a site's configuration share: fields, what was filled in, and how a dialog ends.

A form also holds its version and what its fields were when it was opened, and a change gives only what a person changed
of them (see ``api.ui.base.conflicts``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine

from api.site import depots
from api.ui.base.conflicts import WAS, Conflict, EditForm, current, read_version
from api.ui.base.forms import FieldErrors
from api.ui.base.rendering import render
from domain.base.problems import Problem, ProblemCode

TEMPLATE = "site_dialogs.html"
GONE = "something that was deleted"
_CONSENT_LENGTH = 100
NAMED = 8
"""Names of what goes with a deletion that are listed; the others are counted."""

_GONE = (
    ProblemCode.DEPOT_NOT_FOUND,
    ProblemCode.CIRCUIT_NOT_FOUND,
    ProblemCode.GATEWAY_NOT_FOUND,
    ProblemCode.DEVICE_NOT_FOUND,
    ProblemCode.POWER_SOURCE_NOT_FOUND,
    ProblemCode.SENSOR_ACTION_NOT_FOUND,
)
_TOO_MANY = (ProblemCode.TOO_MANY_GATEWAYS, ProblemCode.TOO_MANY_DEVICES, ProblemCode.TOO_MANY_POWER_SOURCES)


@dataclass(frozen=True)
class Field:
    """One field of a form, by the name that the API has for it."""

    name: str
    label: str
    options: Sequence[tuple[str, str]] | None = None
    """Value and words of each choice; None: a line of text."""
    hint: str = ""
    optional: bool = False
    offers: Sequence[tuple[str, str]] = ()
    """What a line of text may be, each with words to it, besides anything else."""

    def say(self, value: object) -> str:
        """A value of the field, to be read."""
        written = written_value(value)
        if self.options is None or not written:
            return written or "none"
        return dict(self.options).get(written, GONE)


@dataclass(frozen=True)
class Going:
    """What goes with a deletion."""

    text: str
    names: Sequence[str] = ()
    more: int = 0
    """How many more there are than ``names``."""


class Filled(EditForm):
    """A form of fields that are lines of text and choices."""

    @staticmethod
    def begin(version: int | None = None, **values: object) -> Filled:
        """A form that is just opened; None is an empty field."""
        written = {name: written_value(value) for name, value in values.items()}
        return Filled(written, dict(written), version)

    @staticmethod
    async def read(request: Request, names: Iterable[str]) -> Filled:
        """The form that came, with the fields of these names."""
        names = list(names)
        async with request.form() as form:
            values = {name: str(form.get(name, "")) for name in names}
            was = {name: str(form[WAS + name]) for name in names if WAS + name in form}
            return Filled(values, was, read_version(form))


def written_value(value: object) -> str:
    """A value of a field, as the form has it; None is an empty field."""
    return "" if value is None else str(value)


def read_id(given: str) -> UUID | None:
    """Read the choice of something by its id; None where nothing was chosen.

    Raises:
        Problem: ``INVALID_REQUEST``.

    """
    try:
        return UUID(given) if given else None
    except ValueError as error:
        raise Problem(ProblemCode.INVALID_REQUEST, "Choose one of these.") from error


def beside(errors: FieldErrors, problem: Problem, prefix: str, fields: Iterable[Field]) -> None:
    """Put a refusal beside the field that it is about; beside the name, where there are too many already.

    Raises:
        Problem: It is about none of the form's fields.

    """
    about = "name" if problem.code in _TOO_MANY else problem.field
    if about not in {field.name for field in fields}:
        raise problem
    errors[f"{prefix}-{about}"] = problem.detail


def gone(request: Request, problem: Problem) -> Response:
    """Say in the dialog that what it is about does not exist any more.

    Raises:
        Problem: It is another refusal.

    """
    if problem.code not in _GONE:
        raise problem
    return render(request, TEMPLATE, {"detail": problem.detail}, block="gone", status=404)


@dataclass(frozen=True)
class Forms:
    """The forms that add and change one kind of thing of a depot's site."""

    kind: str
    """As its routes are named, which are given its id by ``{kind}_id``: ``power_source``."""
    prefix: str
    """What the ids of its fields begin with."""
    note: str = "Its id"
    """What is said before a thing's id."""

    def elements(self, fields: Iterable[Field]) -> dict[str, str]:
        """The id of each field's element."""
        return {"depot_id": self.prefix} | {field.name: f"{self.prefix}-{field.name}" for field in fields}

    def adding(
        self,
        request: Request,
        depot_id: UUID,
        fields: Sequence[Field],
        filled: Filled,
        errors: FieldErrors | None = None,
    ) -> Response:
        """Answer with the form that adds one: opened, or again with all that is wrong with it."""
        title = f"Add {self.kind.replace('_', ' ')}"
        to = request.app.url_path_for(f"{self.kind}_create", depot_id=depot_id)
        return self._form(request, fields, filled, errors, title=title, save=title, to=to, delete_at=None, note="")

    def editing(
        self,
        request: Request,
        depot_id: UUID,
        thing_id: UUID,
        name: str,
        fields: Sequence[Field],
        filled: Filled,
        errors: FieldErrors | None = None,
        conflict: Conflict | None = None,
        zone: str = "UTC",
    ) -> Response:
        """Answer with the form that changes one: opened, or again with all that is wrong with it.

        ``zone`` is the depot's, for the times of a ``conflict``.
        """
        path = {"depot_id": depot_id, f"{self.kind}_id": thing_id}
        return self._form(
            request,
            fields,
            filled,
            errors,
            conflict,
            title=name,
            save="Save",
            to=request.app.url_path_for(f"{self.kind}_change", **path),
            delete_at=request.app.url_path_for(f"{self.kind}_delete", **path),
            note=f"{self.note}: {thing_id}",
            zone=zone,
        )

    async def stale(
        self,
        request: Request,
        engine: AsyncEngine,
        problem: Problem,
        depot_id: UUID,
        thing_id: UUID,
        fields: Sequence[Field],
        filled: Filled,
        read: Callable[[str, Any], object] = lambda _, value: value,
    ) -> Response:
        """Answer with the form on top of what others made of the thing meanwhile.

        ``read`` writes a field of the API as the form has it, where the two differ.

        Raises:
            Problem: It is another refusal than ``VERSION_CONFLICT``.

        """
        if problem.code is not ProblemCode.VERSION_CONFLICT:
            raise problem
        holds = current(problem)
        by_name = {field.name: field for field in fields}
        values = {name: read(name, holds[name]) for name in by_name}
        conflict = filled.go_on(
            problem,
            {name: written_value(values[name]) for name in filled.values},
            {name: field.label for name, field in by_name.items()},
            lambda name, value: by_name[name].say(read(name, value)),
            {name: field.say(values[name]) for name, field in by_name.items()},
        )
        zone = (await depots.read(depot_id, engine)).timezone
        return self.editing(request, depot_id, thing_id, holds["name"], fields, filled, conflict=conflict, zone=zone)

    def _form(
        self,
        request: Request,
        fields: Sequence[Field],
        filled: Filled,
        errors: FieldErrors | None,
        conflict: Conflict | None = None,
        **words: str | None,
    ) -> Response:
        context = {
            **words,
            "prefix": self.prefix,
            "fields": fields,
            "filled": filled,
            "errors": errors or FieldErrors(),
            "conflict": conflict,
        }
        status = 409 if conflict else 422 if errors else 200
        return render(request, TEMPLATE, context, block="form", status=status)


def delete_dialog(
    request: Request,
    *,
    name: str,
    to: str,
    going: Sequence[Going],
    consent: str,
    agree: str = "",
    refused: Refusal | None = None,
) -> Response:
    """Answer with the question before a deletion; ``agree`` is what has to be agreed to besides.

    ``consent`` is of what the dialog shows, and was read before it: what came since is not agreed to.
    """
    context = {
        "name": name,
        "to": to,
        "going": going,
        "agree": agree,
        "consent": consent,
        "errors": FieldErrors(agree=refused.detail) if refused and not refused.is_stale else FieldErrors(),
        "changed": refused is not None and refused.is_stale,
    }
    status = 200 if refused is None else 409 if refused.is_stale else 422
    return render(request, TEMPLATE, context, block="delete", status=status)


@dataclass(frozen=True)
class Refusal:
    """Why a deletion that was asked for did not happen, and is asked about again."""

    detail: str
    is_stale: bool
    """Whether what goes with it has changed since it was shown."""

    @staticmethod
    def of(problem: Problem, agree: str = "") -> Refusal | None:
        """What can be asked about again; ``agree`` says what has to be agreed to. None: it is another refusal."""
        if problem.code is ProblemCode.DELETION_CHANGED:
            return Refusal(problem.detail, is_stale=True)
        if problem.code in (ProblemCode.GATEWAY_HAS_DEVICES, ProblemCode.CIRCUIT_HAS_CHILDREN):
            return Refusal(agree, is_stale=False)
        return None


async def read_consent(request: Request) -> tuple[str | None, bool]:
    """What was shown when a deletion was agreed to, and whether all that goes with it was agreed to as well."""
    async with request.form() as form:
        return str(form.get("consent", ""))[:_CONSENT_LENGTH] or None, form.get("agree") == "yes"
