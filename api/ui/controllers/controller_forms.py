"""The dialogs of the Controllers tab: bind a device, change a binding, switch it on or off, delete it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.datastructures import FormData

from api.base.dependencies import ActorDep, EngineDep, TablesDep
from api.base.idempotency import FormOnceDep
from api.base.limits import open_form
from api.base.problems import FieldProblem
from api.base.types import BindingId, DepotId
from api.base.versions import Edit
from api.controllers import controller_bindings as service
from api.controllers.controller_bindings import ControllerBinding
from api.site import depots
from api.ui.base.conflicts import WAS, Conflict, EditForm, current, describe_conflict, read_version
from api.ui.base.navigation import device_address
from api.ui.base.rendering import is_htmx, render
from api.ui.controllers import controller_words
from api.ui.controllers.controllers import all_bindings, all_devices, read_binding, read_tab
from domain.base.problems import Problem, ProblemCode
from domain.controllers.controller_bindings import BindingCode
from domain.controllers.controller_support import ControllerTables
from domain.monitoring.capabilities import Capability

router = APIRouter(prefix="/depots/{depot_id}/controllers", include_in_schema=False)

_INCOMPLETE = {BindingCode.DEVICE_MISSING, BindingCode.CAPABILITIES_MISSING}
"""Errors of a form that is still being filled in; they are shown when it is saved."""
_ID_LENGTH = 36


class Question(StrEnum):
    """What is asked about before it is done."""

    ENABLE = "enable"
    DISABLE = "disable"
    DELETE = "delete"


@dataclass
class BindingInput(EditForm):
    """A binding as it was filled in, by the names of the API: ``device_id``, ``capabilities``, ``enabled``."""

    tried: bool = False
    """Whether saving was tried before: from then on, all errors are shown while the form is changed."""

    @staticmethod
    def of(binding: ControllerBinding) -> BindingInput:
        """The binding as it is."""
        supplied = [each.capability.value for each in binding.capabilities]
        values = _fields(str(binding.device.device_id), supplied, enabled=binding.enabled)
        return BindingInput(values, values, binding.version)

    @staticmethod
    async def read(request: Request) -> BindingInput:
        """Read what was filled in."""
        async with open_form(request) as form:
            return BindingInput(_read(form), _read(form, WAS), read_version(form), form.get("tried") == "yes")

    @property
    def device_id(self) -> str:
        """The device that was chosen; empty: none."""
        return self.values["device_id"]

    @property
    def capabilities(self) -> list[str]:
        """What was chosen."""
        return self.values["capabilities"]

    @property
    def enabled(self) -> bool:
        """Whether it is to supply them."""
        return self.values["enabled"]

    def body(self) -> dict[str, Any]:
        """The same as the API takes it, but for the site or the version."""
        return {**self.values, "device_id": self.device_id or None}

    def change(self) -> dict[str, Any]:
        """What was changed, as the API takes it."""
        return self.changed(self.body()) | {"version": self.version}

    def conflict(self, problem: Problem, say: Callable[[str, Any], str]) -> Conflict:
        """Go on from what holds now."""
        holds = current(problem)
        now = _fields(str(holds["device_id"]), [str(each) for each in holds["capabilities"]], enabled=holds["enabled"])
        words = {name: say(name, value) for name, value in now.items()}
        return self.go_on(problem, now, controller_words.FIELD, say, words)


def _fields(device_id: str, capabilities: list[str], *, enabled: bool) -> dict[str, Any]:
    return {"device_id": device_id, "capabilities": capabilities, "enabled": enabled}


def _read(form: FormData, prefix: str = "") -> dict[str, Any]:
    return _fields(
        str(form.get(f"{prefix}device_id", ""))[:_ID_LENGTH],
        [str(each) for each in form.getlist(f"{prefix}capabilities")],
        enabled=f"{prefix}enabled" in form,
    )


@dataclass(frozen=True)
class Dialog:
    """What every dialog of a depot's bindings is made of."""

    request: Request
    engine: AsyncEngine
    tables: ControllerTables
    depot_id: UUID
    binding: ControllerBinding | None = None

    async def context(self) -> dict[str, Any]:
        """What all of them show."""
        bindings = await all_bindings(self.engine, self.depot_id)
        devices = await all_devices(self.engine, self.depot_id)
        return {
            "depot": await depots.read(self.depot_id, self.engine),
            "binding": self.binding,
            "devices": devices,
            "names": {each.device_id: each.name for each in devices},
            "bound": {each.device.device_id: each for each in bindings},
            "owners": controller_words.owners(bindings),
            "says": controller_words,
            "device_address": partial(device_address, self.request),
            "conflict": None,
            "refused": {},
        }

    async def say(self) -> Callable[[str, Any], str]:
        """How a field of a binding is put into words."""
        names = {each.device_id: each.name for each in await all_devices(self.engine, self.depot_id)}
        return lambda name, value: controller_words.field_value(name, value, names)

    async def validate(self, given: BindingInput) -> service.Judgement:
        """Say what saving would do (the dry run)."""
        if self.binding is None:
            draft = given.body() | {"depot_id": str(self.depot_id)}
            return await service.validate_draft(draft, None, self.engine, self.tables)
        draft = given.body() | {"version": given.version}
        return await service.validate_draft(draft, self.binding.binding_id, self.engine, self.tables)

    async def form(
        self,
        given: BindingInput,
        *,
        errors: Iterable[FieldProblem] | None = None,
        conflict: Conflict | None = None,
        status: int = 200,
    ) -> Response:
        """The form, with what is wrong with it and what saving it would do. Without ``errors``, by the dry run."""
        validation = await self.validate(given)
        reported = list(validation.errors if errors is None else errors)
        if not given.tried:
            reported = [each for each in reported if each.code not in _INCOMPLETE]
        context = await self.context()
        chosen = next((each for each in context["devices"] if str(each.device_id) == given.device_id), None)
        context |= {
            "given": given,
            "refused": _by_field(reported, given.capabilities),
            "validation": validation,
            "conflict": conflict,
            "chosen": chosen,
            "revision": None if chosen is None else controller_words.revision(self.tables, chosen.controller),
            "capabilities": list(Capability),
        }
        return render(self.request, "controller_dialogs.html", context, block="form", status=status)

    async def ask(
        self,
        question: Question,
        *,
        errors: Iterable[FieldProblem] | None = None,
        conflict: Conflict | None = None,
        status: int = 200,
    ) -> Response:
        """Ask before something is done, and say what it does."""
        assert self.binding is not None
        given = BindingInput.of(self.binding)
        given.values = {**given.values, "enabled": question is Question.ENABLE}
        validation = await self.validate(given)
        reported = validation.errors if errors is None and question is Question.ENABLE else errors or ()
        latest = {each.capability: each for each in self.binding.capabilities}
        context = await self.context() | {
            "question": question,
            "validation": validation,
            "refused": _by_field(reported, given.capabilities),
            "conflict": conflict,
            "latest": latest,
        }
        return render(self.request, "controller_dialogs.html", context, block="question", status=status)

    async def done(self) -> Response:
        """Close the dialog and show the tab as it is now."""
        context = await read_tab(self.request, self.engine, self.tables, self.depot_id)
        return render(self.request, "controllers.html", context, block="parts", headers={"HX-Trigger": "dialog-done"})

    async def saved(self, given: BindingInput, save: Callable[[], Awaitable[object]]) -> Response:
        """Save, or show the form again with everything that is wrong, or with what others changed."""
        given.tried = True
        try:
            await save()
        except Problem as problem:
            if problem.code is ProblemCode.VERSION_CONFLICT:
                return await self.form(given, conflict=given.conflict(problem, await self.say()), status=409)
            if problem.code is not ProblemCode.INVALID_CONTROLLER_BINDING:
                raise
            errors = [FieldProblem.of(each) for each in problem.violations]
            return await self.form(given, errors=errors, status=422)
        return await self.done()


def _by_field(errors: Iterable[FieldProblem], capabilities: list[str]) -> dict[str, list[FieldProblem]]:
    """Problems by the id of the element that they belong to."""
    found: dict[str, list[FieldProblem]] = {}
    for each in errors:
        name, _, place = each.field.partition(".")
        if name not in ("device_id", "capabilities", "enabled"):
            name = "binding"
        elif place.isdecimal() and int(place) < len(capabilities) and capabilities[int(place)] in tuple(Capability):
            name = f"capability-{capabilities[int(place)]}"
        found.setdefault(name, []).append(each)
    return found


def _gone(request: Request, problem: Problem) -> Response:
    """Tell in the dialog itself that the binding was deleted while it was open."""
    if problem.code is not ProblemCode.BINDING_NOT_FOUND or not is_htmx(request):
        raise problem
    return render(request, "controller_dialogs.html", {"problem": problem}, block="gone", status=404)


@router.get("/new", name="binding_new")
async def begin(request: Request, depot_id: DepotId, engine: EngineDep, tables: TablesDep) -> Response:
    """The dialog that binds a device. What no device supplies is chosen already."""
    owners = controller_words.owners(await all_bindings(engine, depot_id))
    free = [each.value for each in Capability if each not in owners]
    return await Dialog(request, engine, tables, depot_id).form(BindingInput(_fields("", free, enabled=True)))


@router.post("", name="binding_create")
async def create(
    request: Request, depot_id: DepotId, actor: ActorDep, engine: EngineDep, tables: TablesDep, once: FormOnceDep
) -> Response:
    """Bind a device (COR-39.2)."""
    given = await BindingInput.read(request)
    body = {"depot_id": str(depot_id), **given.body()}
    return await Dialog(request, engine, tables, depot_id).saved(
        given, lambda: service.bind(body, actor, engine, tables, once)
    )


@router.post("/preview", name="binding_preview")
async def preview_new(request: Request, depot_id: DepotId, engine: EngineDep, tables: TablesDep) -> Response:
    """The form of a new binding as it stands: what is wrong with it, and what saving would do."""
    return await Dialog(request, engine, tables, depot_id).form(await BindingInput.read(request))


@router.get("/{binding_id}", name="binding_edit")
async def edit(
    request: Request, depot_id: DepotId, binding_id: BindingId, engine: EngineDep, tables: TablesDep
) -> Response:
    """The dialog that changes a binding."""
    binding = await read_binding(engine, depot_id, binding_id)
    return await Dialog(request, engine, tables, depot_id, binding).form(BindingInput.of(binding))


@router.post("/{binding_id}", name="binding_change")
async def change(
    request: Request, depot_id: DepotId, binding_id: BindingId, actor: ActorDep, engine: EngineDep, tables: TablesDep
) -> Response:
    """Change a binding (COR-39.2). Where others changed it meanwhile, show what, and keep what was filled in."""
    given = await BindingInput.read(request)
    try:
        binding = await read_binding(engine, depot_id, binding_id)
    except Problem as problem:
        return _gone(request, problem)
    return await Dialog(request, engine, tables, depot_id, binding).saved(
        given, lambda: service.change(binding_id, given.change(), Edit(engine, actor), tables)
    )


@router.post("/{binding_id}/preview", name="binding_preview_of")
async def preview(
    request: Request, depot_id: DepotId, binding_id: BindingId, engine: EngineDep, tables: TablesDep
) -> Response:
    """The form of a binding as it stands: what is wrong with it, and what saving would do."""
    binding = await read_binding(engine, depot_id, binding_id)
    return await Dialog(request, engine, tables, depot_id, binding).form(await BindingInput.read(request))


@router.get("/{binding_id}/{question}", name="binding_ask")
async def ask(
    request: Request,
    depot_id: DepotId,
    binding_id: BindingId,
    question: Question,
    engine: EngineDep,
    tables: TablesDep,
) -> Response:
    """The dialog that asks before a binding is switched on or off, or deleted."""
    binding = await read_binding(engine, depot_id, binding_id)
    return await Dialog(request, engine, tables, depot_id, binding).ask(question)


@router.post("/{binding_id}/{question}", name="binding_do")
async def act(
    request: Request,
    depot_id: DepotId,
    binding_id: BindingId,
    question: Question,
    actor: ActorDep,
    engine: EngineDep,
    tables: TablesDep,
) -> Response:
    """Switch a binding on or off, or delete it; ask again where others changed it meanwhile."""
    try:
        binding = await read_binding(engine, depot_id, binding_id)
    except Problem as problem:
        return _gone(request, problem)
    dialog = Dialog(request, engine, tables, depot_id, binding)
    version = (await BindingInput.read(request)).version
    try:
        if question is Question.ENABLE:
            await service.enable(binding_id, Edit(engine, actor), tables, version)
        elif question is Question.DISABLE:
            await service.disable(binding_id, Edit(engine, actor), version)
        else:
            await service.remove(binding_id, Edit(engine, actor), version)
    except Problem as problem:
        if problem.code is ProblemCode.VERSION_CONFLICT:
            conflict = describe_conflict(problem, controller_words.FIELD, await dialog.say())
            return await dialog.ask(question, conflict=conflict, status=409)
        if problem.code is not ProblemCode.INVALID_CONTROLLER_BINDING:
            raise
        errors = [FieldProblem.of(each) for each in problem.violations]
        return await dialog.ask(question, errors=errors, status=422)
    return await dialog.done()
