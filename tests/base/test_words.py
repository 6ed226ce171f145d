"""Every value that a page shows has its word: one that is forgotten fails here, and not on the page that shows it."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from itertools import product
from typing import Any, cast

import pytest

import api.ui
from api.ui.base.words import SOURCE_STATE, run_badge
from domain.base.jobs import JobState
from domain.simulation.scenario_runs import RunOutcome
from domain.site.measurands import MEASURANDS, MeasurandKey
from domain.site.sensor_actions import STATE_MEASURANDS

STATES_IN_TEXT = {key for key in STATE_MEASURANDS if MEASURANDS[key].texts}

# A run that did not prove anything is told by its state.
BY_THE_OTHER = {"RUN_OUTCOME": {RunOutcome.INCOMPLETE}}
ONLY = {"SOURCE_STATE": STATES_IN_TEXT}


def word_maps() -> Iterator[tuple[str, dict[Enum, Any]]]:
    for module in pkgutil.walk_packages(api.ui.__path__, "api.ui."):
        for name, value in vars(import_module(module.name)).items():
            if (
                isinstance(value, dict)
                and value
                and all(isinstance(key, Enum) for key in cast("dict[Any, Any]", value))
            ):
                yield f"{module.name}.{name}", cast("dict[Enum, Any]", value)


MAPS = dict(word_maps())


def test_the_maps_are_found() -> None:
    assert {"api.ui.base.words.FRESHNESS", "api.ui.controllers.controller_words.EFFECT"} <= set(MAPS)


@pytest.mark.parametrize("name", MAPS)
def test_a_map_has_a_word_for_every_value(name: str) -> None:
    (kind,) = {type(key) for key in MAPS[name]}
    short = name.rpartition(".")[2]
    assert ONLY.get(short, set(kind)) - set(MAPS[name]) == BY_THE_OTHER.get(short, set())


@pytest.mark.parametrize("key", sorted(STATES_IN_TEXT))
def test_every_text_of_a_power_source_s_state_has_its_badge(key: MeasurandKey) -> None:
    assert set(SOURCE_STATE[key]) == set(MEASURANDS[key].texts)


@pytest.mark.parametrize(("state", "outcome"), list(product(JobState, [None, *RunOutcome])))
def test_a_run_has_its_badge_in_every_state(state: JobState, outcome: RunOutcome | None) -> None:
    if state is not JobState.COMPLETED or outcome in (RunOutcome.PASSED, RunOutcome.FAILED):
        assert run_badge(state, outcome).word
