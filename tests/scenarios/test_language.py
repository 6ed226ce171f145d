"""The scenario language: what it takes, and how it tells what is wrong."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest
import yaml

from sim_scenarios.language.language import scenario_schema
from sim_scenarios.language.problems import InvalidScenario, ScenarioCode
from sim_scenarios.language.quantities import duration_text
from sim_scenarios.language.source import MAX_BYTES, Source, read_source
from sim_scenarios.runs.library import FOLDER, controller_tables, preset, preset_names, preset_text, template_text
from sim_scenarios.runs.offline_check import check_offline
from sim_scenarios.runs.scenario import Scenario, parse_scenario
from tests.scenarios.samples import good, places, read, small, wrong

VALIDATOR = jsonschema.Draft202012Validator(scenario_schema())


def refusal(text: str) -> InvalidScenario:
    found = read_source(text)
    assert isinstance(found, InvalidScenario)
    return found


def data(text: str) -> Any:
    found = read_source(text)
    assert isinstance(found, Source)
    return found.data


# YAML


def test_yaml_has_no_traps() -> None:
    text = (
        'a: on\nb: NO\nc: 12:30\nd: 010\ne: 1_000\nf: 2026-01-01\ng: "true"\nh: [true, null, ~, -1.5, 7, .nan, 1e3]\n'
    )
    assert data(text) == {
        "a": "on",
        "b": "NO",
        "c": "12:30",
        "d": "010",
        "e": "1_000",
        "f": "2026-01-01",
        "g": "true",
        "h": [True, None, None, -1.5, 7, ".nan", "1e3"],
    }


@pytest.mark.parametrize(
    "escape", [r"\0", r"\x1b", r"\a", r"\N", r"\L", r"\P", r"\uFFFE", r"\uFDD0", r"\u202E", r"\u2067", r"\U0001FFFF"]
)
@pytest.mark.parametrize(
    ("line", "pointer"),
    [('title: "ends ESCAPE here"', "/title"), ('gateway: {model: "ESCAPE"}', "/gateway/model"), ('"ESCAPE": 1', "")],
)
def test_a_text_is_judged_after_its_escapes_are_read(escape: str, line: str, pointer: str) -> None:
    found = refusal("scenario: small\n" + line.replace("ESCAPE", escape) + "\n")
    assert [(each.pointer, each.code) for each in found.violations] == [(pointer, ScenarioCode.TEXT_NOT_ALLOWED)]
    assert found.line(pointer) == 2


@pytest.mark.parametrize("character", ["\u202e", "\u2067", "\u2028", "\U0001ffff", "\U000e0041"])
def test_what_stands_in_a_comment_can_be_seen(character: str) -> None:
    found = refusal(f"scenario: small\r\n# {character}\n")
    assert [each.code for each in found.violations] == [ScenarioCode.TEXT_NOT_ALLOWED]
    assert found.line("") == 2


def test_texts_have_one_form() -> None:
    assert data('a: "e\\u0301"\n"o\\u0308": e\u0301\u200b\n') == {"a": "\u00e9", "\u00f6": "\u00e9"}
    assert data("a: |\n  one\n  \ttwo\n") == {"a": "one\n\ttwo\n"}


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"title": "two\nlines"}, "/title"),
        ({"title": "tab\there"}, "/title"),
        ({"title": " "}, "/title"),
        ({"gateway": {"model": "a\nb"}}, "/gateway/model"),
        ({"timeline": [{"at": "1m", "name": "a\nb", "set": {"peak_shaving": True}}]}, "/timeline/0/name"),
    ],
)
def test_a_title_has_one_line(changed: dict[str, Any], pointer: str) -> None:
    assert wrong(small(**changed)) == [(pointer, ScenarioCode.TEXT_NOT_ALLOWED)]
    assert good(small(description="two\n\tlines")).model.description == "two\n\tlines"


def test_every_place_has_its_line() -> None:
    found = read_source("a:\n  b: 1\n  c:\n    - 2\n    - x/y: 3\n")
    assert isinstance(found, Source)
    assert found.lines == {"": 1, "/a": 1, "/a/b": 2, "/a/c": 3, "/a/c/0": 4, "/a/c/1": 5, "/a/c/1/x~1y": 5}


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", ScenarioCode.REPEATED_KEY, 3),
        ("a: 1\nb: [2\n", ScenarioCode.WRONG_YAML, 3),
        ("a: 1\nb: !!python/name:os.system x\n", ScenarioCode.WRONG_YAML, 2),
        ("a: 1\n[1, 2]: 3\n", ScenarioCode.WRONG_YAML, 2),
        ("a: 1\n---\nb: 2\n", ScenarioCode.WRONG_YAML, 2),
        ("a: \x07\n", ScenarioCode.WRONG_YAML, 1),
        ("[" * 100_000, ScenarioCode.WRONG_YAML, 1),
        ("a: &a [1, 2]\nb: *c\n", ScenarioCode.WRONG_YAML, 2),
    ],
)
def test_what_is_no_yaml_is_told_with_its_line(text: str, code: ScenarioCode, line: int) -> None:
    found = refusal(text)
    (violation,) = found.violations
    assert (violation.code, found.line(violation.pointer)) == (code, line)


def test_a_file_is_bounded_even_where_aliases_multiply_it() -> None:
    assert refusal("a" * (MAX_BYTES + 1)).violations[0].code is ScenarioCode.TOO_LARGE
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert refusal(f"a0: &a0 [1]\n{levels}").violations[0].code is ScenarioCode.TOO_LARGE


# The form


def test_the_schema_file_is_the_code_s() -> None:
    wanted = json.dumps(scenario_schema(), indent=2) + "\n"
    assert (FOLDER / "scenario.schema.json").read_text(encoding="utf-8") == wanted
    jsonschema.Draft202012Validator.check_schema(scenario_schema())


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_named_as_its_file_and_keeps_the_schema(name: str) -> None:
    found = preset(name)
    assert found.name == name
    VALIDATOR.validate(data(preset_text(name)))
    assert json.loads(json.dumps(found.document)) == found.document


def test_the_presets_cover_what_they_are_for() -> None:
    assert set(preset_names()) >= {
        "nominal-day", "peak-shaving", "der-export-limit", "heartbeat", "heartbeat-silence", "bess-operational-mode",
        "soc-sweep", "device-off", "unavailable", "revision-without-peak-shaving", "late-repeated-shuffled",
        "morning-pull-out",
    }  # fmt: skip
    assert sum(group.count for group in preset("morning-pull-out").model.site.buses) == 120


def test_a_new_scenario_begins_valid() -> None:
    parsed = parse_scenario(template_text("my-site"), controller_tables())
    assert isinstance(parsed, Scenario)
    assert parsed.name == "my-site"
    assert check_offline(parsed) == ()


BROKEN: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
    ({"title": ""}, [("/title", "OUT_OF_RANGE")]),
    ({"scenario": "Not a name"}, [("/scenario", "WRONG_FORM")]),
    ({"colour": "red"}, [("/colour", "UNKNOWN_FIELD")]),
    ({"duration": 600}, [("/duration", "WRONG_FORM")]),
    ({"every": "1 minute"}, [("/every", "WRONG_FORM")]),
    ({"duration": "900h"}, [("/duration", "OUT_OF_RANGE")]),
    ({"needs": ["pilot"]}, [("/needs/0", "UNKNOWN_VALUE")]),
    ({"timeline": [{"name": "when?"}]}, [("/timeline/0", "CONTRADICTION")]),
    ({"timeline": [{"each": "1m", "set": {"connected": False}}]}, [("/timeline/0", "CONTRADICTION")]),
    ({"timeline": [{"at": "1m", "set": {"connected": "no"}}]}, [("/timeline/0/set/connected", "WRONG_TYPE")]),
    (
        {"timeline": [{"at": "1m", "deliver": {"copies": 2, "late_by": "1m"}}]},
        [("/timeline/0/deliver", "CONTRADICTION")],
    ),
    (
        {"timeline": [{"at": "1m", "expect": {"circuit": {"mode": "FAIL_SAFE"}}}]},
        [("/timeline/0/expect/circuit", "CONTRADICTION")],
    ),
    (
        {"timeline": [{"at": "1m", "expect": {"sent": {"soc": 5}}}]},
        [("/timeline/0/expect/sent/soc", "UNKNOWN_VALUE")],
    ),
    (
        {"timeline": [{"at": "1m", "expect": {"sent": {"SOC": {"from": 5, "to": 4}}}}]},
        [("/timeline/0/expect/sent/SOC", "CONTRADICTION")],
    ),
    (
        {"timeline": [{"at": "1m", "expect": {"answers": {"UPDATE_MICROGRID_STATE": "IGNORED PERHAPS"}}}]},
        [("/timeline/0/expect/answers/UPDATE_MICROGRID_STATE", "UNKNOWN_VALUE")],
    ),
]


@pytest.mark.parametrize(("changed", "expected"), BROKEN)
def test_what_is_wrong_with_the_form_is_told_with_its_place(
    changed: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert wrong(small(**changed)) == expected


def test_a_missing_field_is_told() -> None:
    document = small()
    del document["site"]["grid"]
    assert wrong(document) == [("/site/grid", "MISSING")]
    assert places(refused("just a text").violations) == [("", "WRONG_TYPE")]
    assert places(refused("").violations) == [("", "WRONG_TYPE")]


def refused(text: str) -> InvalidScenario:
    found = parse_scenario(text, controller_tables())
    assert isinstance(found, InvalidScenario)
    return found


def test_everything_is_told_at_once() -> None:
    document = small(colour="red", every="soon", timeline=[{"at": "1m", "expect": {"circuit": {"mode": "ON"}}}])
    document["site"]["battery"]["soc_percent"] = 101
    assert sorted(wrong(document)) == [
        ("/colour", "UNKNOWN_FIELD"),
        ("/every", "WRONG_FORM"),
        ("/site/battery/soc_percent", "OUT_OF_RANGE"),
        ("/timeline/0/expect/circuit/mode", "UNKNOWN_VALUE"),
    ]


@pytest.mark.parametrize("changed", [changed for changed, _ in BROKEN if "timeline" not in changed])
def test_the_schema_finds_what_the_code_finds(changed: dict[str, Any]) -> None:
    # Not in the schema: what two fields mean together, and how long a week is.
    assert VALIDATOR.is_valid(small())
    assert VALIDATOR.is_valid(small(**changed)) is (changed.get("duration") == "900h")


# The whole


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"every": "0s"}, [("/every", "OUT_OF_RANGE")]),
        ({"every": "7m"}, [("/duration", "NOT_ON_A_STEP")]),
        ({"duration": "100h", "every": "1s"}, [("/duration", "TOO_LARGE")]),
        ({"timeline": [{"at": "90s"}]}, [("/timeline/0/at", "NOT_ON_A_STEP")]),
        ({"timeline": [{"at": "11m"}]}, [("/timeline/0/at", "BEYOND_THE_END")]),
        ({"timeline": [{"each": "0s"}]}, [("/timeline/0/each", "OUT_OF_RANGE")]),
        (
            {"timeline": [{"at": "9m", "deliver": {"late_by": "2m"}}]},
            [("/timeline/0/deliver/late_by", "BEYOND_THE_END")],
        ),
        (
            {"timeline": [{"at": "1m", "deliver": {"shuffle_for": "0s"}}]},
            [("/timeline/0/deliver/shuffle_for", "OUT_OF_RANGE")],
        ),
        ({"start": {"unavailable": ["weather"]}}, [("/start/unavailable/0", "UNKNOWN_VALUE")]),
        ({"controller": "bba-9"}, [("/controller", "UNKNOWN_CONTROLLER")]),
        ({"start": {"import_limit_kw": 200}}, [("/site/load", "LOAD_BEYOND_GRID")]),
        (
            {"timeline": [{"at": "1m", "set": {"fail_safe_kw": 651}}]},
            [("/site/charging/fail_safe_kw", "FAIL_SAFE_BEYOND_GRID")],
        ),
    ],
)
def test_what_only_the_whole_can_show_is_told(changed: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert wrong(small(**changed)) == expected


@pytest.mark.parametrize(
    ("part", "settings"),
    [
        ("battery", ["battery_on", "automatic_dispatch", "manual_charge", "manual_discharge"]),
        ("peak_shaving", ["peak_shaving"]),
        ("der", ["der_export_limit"]),
    ],
)
def test_what_is_not_on_the_site_cannot_be_switched(part: str, settings: list[str]) -> None:
    document = small(start=dict.fromkeys(settings, True))
    assert isinstance(read(document), Scenario)
    del document["site"][part]
    assert wrong(document) == [(f"/start/{field}", "NOT_ON_SITE") for field in settings]


def test_a_revision_is_a_table_file_alone() -> None:
    table: Any = copy.deepcopy(dict(controller_tables())["bba-1"])
    del table["measurands"]["SOC"]
    table["revision"] = "2"
    assert good(small(controller="bba-2"), **{"bba-2": table}).table.revision == "2"
    table["inputs"]["moon_phase"] = "number"
    assert wrong(small(controller="bba-2"), **{"bba-2": table}) == [("/controller", "INPUT_NOT_SIMULATED")]
    table["measurands"]["DEVICE_POWER_STATE"] = {"number": "moon_phase"}
    assert wrong(small(controller="bba-2"), **{"bba-2": table}) == [("/controller", "INVALID_CONTROLLER")]


def test_the_digest_follows_what_is_said_and_not_how() -> None:
    one, other = small(), dict(reversed(small().items()))
    assert good(one).digest == good(other).digest
    assert parse(f"# a comment\n{yaml.safe_dump(one)}").digest == good(one).digest
    assert good(small(title="Another")).digest != good(one).digest
    assert good(small(controller="bba-1-no-peak-shaving")).digest != good(one).digest


def parse(text: str) -> Scenario:
    found = parse_scenario(text, controller_tables())
    assert isinstance(found, Scenario)
    return found


def test_an_expectation_that_cannot_come_true_is_told_before_a_run() -> None:
    entries = [
        {"at": "2m", "expect": {"sent": {"SOC": 61, "HEARTBEAT_STATUS": "ok"}}},
        {"at": "3m", "expect": {"circuit": {"mode": "CONTROLLER", "capacity_kw": {"from": 0, "to": 599}}}},
        {"at": "4m", "expect": {"circuit": {"mode": "CONTROLLER", "capacity_kw": 600}}},
    ]
    found = check_offline(good(small(timeline=entries)))
    assert places(found) == [
        ("/timeline/0/expect", "EXPECTATION_NOT_MET"),
        ("/timeline/1/expect", "EXPECTATION_NOT_MET"),
    ]
    assert "sent SOC should be 61, and is 60." in found[0].reason


@pytest.mark.parametrize("name", preset_names())
def test_no_preset_expects_what_cannot_be_whatever_the_seed(name: str) -> None:
    for seed in (1, 2, 3):
        assert check_offline(preset(name), seed) == ()


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0s"), (90_000, "1m30s"), (86_400_000, "24h"), (3_601_000, "1h1s")]
)
def test_durations_are_written_as_they_are_read(milliseconds: int, text: str) -> None:
    assert duration_text(milliseconds) == text
