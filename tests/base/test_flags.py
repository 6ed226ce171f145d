"""Feature flags: by the settings, or by whichever OpenFeature provider they name."""

from __future__ import annotations

from uuid import UUID

import pytest
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import GeneralError
from openfeature.flag_evaluation import FlagResolutionDetails
from openfeature.provider import FeatureProvider
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider

from api.base.flags import Flags
from runtime.settings import MICROGRID_CARD, Settings, load_settings
from tests.helpers.support import ACTOR

DEPOT = UUID("018f4e6c-0000-7000-8000-000000000000")


@pytest.mark.acceptance("COR-9.16")
@pytest.mark.parametrize(
    ("given", "on"),
    [
        (None, True),
        ("", False),
        ("another", False),
        (MICROGRID_CARD, True),
        (f" another, {MICROGRID_CARD} ", True),
        (f'{{"{MICROGRID_CARD}": true}}', True),
        (f'{{"{MICROGRID_CARD}": false}}', False),
        ("{}", False),
    ],
)
async def test_the_settings_say_which_flags_are_on(
    given: str | None, on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if given is not None:
        monkeypatch.setenv("MANAGE_FLAGS", given)
    flags = Flags(load_settings())
    assert await flags.is_on(MICROGRID_CARD, ACTOR) is on
    flags.close()


def by_depot() -> FeatureProvider:
    """A provider that has the flag off for one depot."""

    def decide(flag: InMemoryFlag[bool], context: EvaluationContext) -> FlagResolutionDetails[bool]:
        assert context.targeting_key == ACTOR.name
        return FlagResolutionDetails(context.attributes.get("depot_id") != str(DEPOT))

    flag = InMemoryFlag("on", {"on": True, "off": False}, context_evaluator=decide)
    return InMemoryProvider({MICROGRID_CARD: flag})


def broken() -> FeatureProvider:
    """A provider that cannot answer."""

    def decide(flag: InMemoryFlag[bool], context: EvaluationContext) -> FlagResolutionDetails[bool]:
        raise GeneralError("the flag service is away")

    return InMemoryProvider({MICROGRID_CARD: InMemoryFlag("on", {"on": True}, context_evaluator=decide)})


async def test_any_provider_can_answer_and_tell_depots_apart() -> None:
    flags = Flags(Settings(openfeature_provider="tests.base.test_flags:by_depot", flags={}))
    assert await flags.is_on(MICROGRID_CARD, ACTOR)
    assert not await flags.is_on(MICROGRID_CARD, ACTOR, DEPOT)
    flags.close()


@pytest.mark.parametrize(
    "provider", ["tests.base.test_flags:broken", "openfeature.provider.no_op_provider:NoOpProvider"]
)
async def test_what_a_provider_does_not_answer_is_as_it_is_shipped(provider: str) -> None:
    flags = Flags(Settings(openfeature_provider=provider, flags={}))
    assert await flags.is_on(MICROGRID_CARD, ACTOR)
    flags.close()


@pytest.mark.parametrize("provider", ["no.such.module:make", "tests.base.test_flags:missing", "tests.base.test_flags"])
def test_a_provider_that_cannot_be_made_stops_the_start(provider: str) -> None:
    with pytest.raises(ValueError, match="MANAGE_OPENFEATURE_PROVIDER"):
        Flags(Settings(openfeature_provider=provider))


def test_flags_that_cannot_be_read_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANAGE_FLAGS", "{not json")
    with pytest.raises(ValueError, match="flags"):
        load_settings()
