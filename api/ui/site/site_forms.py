"""The dialogs of a site's things in one piece: a kind of thing says its fields, how it is read, saved and deleted.

A form also holds its version and what its fields were when it was opened, and a change gives only what a person changed
of them (see ``api.ui.base.conflicts``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Query, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncEngine

from api.base.limits import open_form
from api.base.types import Text
from api.site import depots
from api.ui.base.conflicts import WAS, Conflict, EditForm, current, read_version
from api.ui.base.forms import FieldErrors
from api.ui.base.navigation import address_of
from api.ui.base.rendering import render, render_large
from domain.base.problems import Problem, ProblemCode

ModelT = TypeVar("ModelT", bound=BaseModel)

TEMPLATE = "site_dialogs.html"
Focus = Annotated[Text, Query(max_length=50)]
"""The name of the field of a form that is ready to be filled in when it opens."""
GONE = "something that was deleted"
_CONSENT_LENGTH = 100
NAMED = 8
"""Names of what goes with a deletion that are listed; the others are counted."""

_GONE = (
    ProblemCode.DEPOT_NOT_FOUND,
    ProblemCode.CIRCUIT_NOT_FOUND,
    ProblemCode.GATEWAY_NOT_FOUND,
    ProblemCode.GATEWAY_SECRET_NOT_FOUND,
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
    unit: str = ""
    """The unit of a number, which stands behind it."""

    def say(self, value: object) -> str:
        """A value of the field, to be read."""
        written = written_value(value)
        if self.options is None or not written:
            return written or "none"
        return dict(self.options).get(written, GONE)


@dataclass(frozen=True)
class CascadeItem:
    """What goes with a deletion."""

    text: str
    names: Sequence[str] = ()
    more: int = 0
    """How many more there are than ``names``."""
    agree: str = ""
    """What has to be agreed to, where that is asked for."""

    @staticmethod
    def of(text: str, names: Sequence[str], agree: str = "") -> CascadeItem:
        """What goes, by its names: the first of them, and how many more there are."""
        return CascadeItem(text, names[:NAMED], max(0, len(names) - NAMED), agree)


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
        async with open_form(request) as form:
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
    """What is said before a thing's id; empty: the id is not said."""
    into: str = "#site"
    """The part of the page that the answer to a form that was sent well replaces."""
    deletes: bool = True
    """Whether its forms lead to a deletion."""

    def elements(self, fields: Iterable[Field]) -> dict[str, str]:
        """The id of each field's element."""
        return {"depot_id": self.prefix} | {field.name: f"{self.prefix}-{field.name}" for field in fields}

    async def adding(
        self,
        request: Request,
        depot_id: UUID,
        fields: Sequence[Field],
        filled: Filled,
        errors: FieldErrors | None = None,
    ) -> Response:
        """Answer with the form that adds one: opened, or again with all that is wrong with it."""
        title = f"Add {self.kind.replace('_', ' ')}"
        to = address_of(request, f"{self.kind}_create", depot_id=depot_id)
        words = {"title": title, "save": title, "to": to, "delete_at": None, "note": "", "zone": "UTC"}
        words |= {"further": (), "focus": ""}
        return await self._form(request, fields, filled, errors, None, words)

    async def editing(
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
        further: Sequence[tuple[str, str, str]] = (),
        focus: str = "",
    ) -> Response:
        """Answer with the form that changes one: opened, or again with all that is wrong with it.

        ``zone`` is the depot's, for the times of a ``conflict``. ``further``: address, icon and words of buttons that
        lead on from there. ``focus`` names the field that is ready to be filled in; the first one, if there is no such.
        """
        path = {"depot_id": depot_id, f"{self.kind}_id": thing_id}
        words = {
            "title": name,
            "save": "Save",
            "to": address_of(request, f"{self.kind}_change", **path),
            "delete_at": address_of(request, f"{self.kind}_delete", **path) if self.deletes else None,
            "note": f"{self.note}: {thing_id}" if self.note else "",
            "zone": zone,
            "further": further,
            "focus": focus,
        }
        return await self._form(request, fields, filled, errors, conflict, words)

    async def create(
        self,
        request: Request,
        depot_id: UUID,
        fields: Sequence[Field],
        model: type[ModelT],
        body: Callable[[Filled, FieldErrors], dict[str, Any]],
        save: Callable[[ModelT], Awaitable[object]],
        done: Callable[[], Awaitable[Response]],
    ) -> Response:
        """Add what the form that came says; or show it again, with everything that is wrong.

        ``body`` makes of the form what the API is given, ``save`` saves it, ``done`` answers then.
        """
        filled = await Filled.read(request, [field.name for field in fields])
        errors = FieldErrors()
        made = errors.read(model, {**body(filled, errors), **_of_depot(model, depot_id)}, self.elements(fields))
        if made is not None:
            try:
                await save(made)
            except Problem as problem:
                if not self._note(errors, problem, fields):
                    return gone(request, problem)
            else:
                return await done()
        return await self.adding(request, depot_id, fields, filled, errors)

    async def change(
        self,
        request: Request,
        engine: AsyncEngine,
        depot_id: UUID,
        thing_id: UUID,
        fields: Sequence[Field],
        model: type[ModelT],
        body: Callable[[Filled, FieldErrors], dict[str, Any]],
        name: str,
        save: Callable[[ModelT, str | None], Awaitable[object]],
        done: Callable[[], Awaitable[Response]],
        superseded: Callable[[Problem, Filled], Awaitable[Response]] | None = None,
    ) -> Response:
        """Change what was changed of a thing; or show the form again, with what is wrong, or what changed in between.

        ``save`` is given the version that the form was opened with as well, as ``If-Match`` has it. ``superseded``
        answers instead of ``stale``, where the form says it otherwise.
        """
        filled = await Filled.read(request, [field.name for field in fields])
        errors = FieldErrors()
        changed = errors.read(model, filled.changed(body(filled, errors)), self.elements(fields))
        if changed is not None:
            try:
                await save(changed, filled.if_match)
            except Problem as problem:
                if problem.code is ProblemCode.VERSION_CONFLICT and superseded is not None:
                    return await superseded(problem, filled)
                if problem.code is ProblemCode.VERSION_CONFLICT:
                    return await self.stale(request, engine, problem, depot_id, thing_id, fields, filled)
                if not self._note(errors, problem, fields):
                    return gone(request, problem)
            else:
                return await done()
        return await self.editing(request, depot_id, thing_id, name, fields, filled, errors)

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
        """
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
        return await self.editing(
            request, depot_id, thing_id, holds["name"], fields, filled, conflict=conflict, zone=zone
        )

    def _note(self, errors: FieldErrors, problem: Problem, fields: Iterable[Field]) -> bool:
        """Put a refusal beside the field that it is about; beside the name, where there are too many already.

        False: it is about none of the form's fields.
        """
        about = "name" if problem.code in _TOO_MANY else problem.field
        if about not in {field.name for field in fields}:
            return False
        errors[f"{self.prefix}-{about}"] = problem.detail
        return True

    async def _form(
        self,
        request: Request,
        fields: Sequence[Field],
        filled: Filled,
        errors: FieldErrors | None,
        conflict: Conflict | None,
        words: Mapping[str, Any],
    ) -> Response:
        context = {
            **words,
            "prefix": self.prefix,
            "into": self.into,
            "fields": fields,
            "focus": words["focus"] if words["focus"] in {each.name for each in fields} else fields[0].name,
            "filled": filled,
            "errors": errors or FieldErrors(),
            "conflict": conflict,
        }
        status = 409 if conflict else 422 if errors else 200
        # It offers every circuit of the depot.
        return await render_large(request, TEMPLATE, context, block="form", status=status)


def _of_depot(model: type[BaseModel], depot_id: UUID) -> dict[str, UUID]:
    return {"depot_id": depot_id} if "depot_id" in model.model_fields else {}


def delete_dialog(
    request: Request,
    *,
    name: str,
    to: str,
    cascade: Sequence[CascadeItem],
    consent: str,
    refused: Refusal | None = None,
    into: str = "#site",
) -> Response:
    """Answer with the question before a deletion.

    ``consent`` is of what the dialog shows, and was read before it: what came since is not agreed to.
    """
    context = {
        "name": name,
        "to": to,
        "into": into,
        "cascade": cascade,
        "consent": consent,
        "errors": FieldErrors(agree=refused.detail) if refused and not refused.is_stale else FieldErrors(),
        "changed": refused is not None and refused.is_stale,
    }
    status = 200 if refused is None else 409 if refused.is_stale else 422
    return render(request, TEMPLATE, context, block="delete", status=status)


async def delete(
    request: Request,
    remove: Callable[[str | None, bool], Awaitable[object]],
    ask: Callable[[Refusal], Awaitable[Response]],
    done: Callable[[], Awaitable[Response]],
    agree: str = "",
) -> Response:
    """Delete a thing with exactly that which was shown; or ask again.

    ``remove`` is given what was shown and whether all that goes with it was agreed to; ``ask`` asks again, ``done``
    answers then. ``agree`` says what has to be agreed to.
    """
    consent, cascade = await _read_consent(request)
    try:
        await remove(consent, cascade)
    except Problem as problem:
        refused = Refusal.of(problem, agree)
        return gone(request, problem) if refused is None else await ask(refused)
    return await done()


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


async def _read_consent(request: Request) -> tuple[str | None, bool]:
    """What was shown when a deletion was agreed to, and whether all that goes with it was agreed to as well."""
    async with open_form(request) as form:
        return str(form.get("consent", ""))[:_CONSENT_LENGTH] or None, form.get("agree") == "yes"
