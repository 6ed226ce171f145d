"""Controller tables: the truth table row by row, what a revision lacks, and what is wrong with a wrong table."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from domain.controllers.controller_tables import InvalidTable, TableCode, parse_table
from domain.controllers.controller_translation import ControllerTable, InputError, InputKind, InputValue, translate
from domain.monitoring.packets import Packet, parse_packet
from domain.site.measurands import Measurand, MeasurandKey, Unreadable, read_measurand
from tests.domain.documents import examples, table

DOCUMENT = "bba-microgrid-controller/generic-packet-translation.md"
FOLDER = Path(__file__).parent.parent.parent.parent / "sim_scenarios" / "controllers"
REVISIONS = sorted(path.name for path in FOLDER.glob("*.yaml"))
DRIVEN = (
    MeasurandKey.AVAILABLE_CHARGING_CAPACITY,
    MeasurandKey.FAIL_SAFE_CAPACITY,
    MeasurandKey.HEARTBEAT_STATUS,
    MeasurandKey.LIMIT_PEAK_SHAVING,
    MeasurandKey.LIMIT_DER_EXPORT,
    MeasurandKey.SOC,
    MeasurandKey.DEVICE_POWER_STATE,
    MeasurandKey.BESS_OPERATIONAL_MODE,
)
INPUTS: dict[str, InputValue] = {
    "available_power": 480_000,
    "default_power": 120_000.5,
    "battery_state_of_charge": 71.5,
    "peak_shaving_on": True,
    "der_export_limit_on": False,
    "battery_on": True,
    "automatic_dispatch_on": True,
    "manual_charge_on": False,
    "manual_discharge_on": False,
    "controller_connected": True,
    "heartbeat_interval": 1.5,
    "heartbeat_good": True,
}


def load(name: str) -> Any:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def read(document: object) -> ControllerTable:
    parsed = parse_table(document)
    assert isinstance(parsed, ControllerTable), parsed
    return parsed


BBA = read(load("bba-1.yaml"))


def values(inputs: dict[str, InputValue], of: ControllerTable = BBA) -> dict[str, float | str | None]:
    return {measurand.key: measurand.value for measurand in translate(of, inputs)}


def test_all_eight_measurands_in_their_order_and_units() -> None:
    assert translate(BBA, INPUTS) == (
        Measurand("AVAILABLE_CHARGING_CAPACITY", 480_000, "W"),
        Measurand("FAIL_SAFE_CAPACITY", 120_000.5, "W"),
        Measurand("HEARTBEAT_STATUS", "ok", None),
        Measurand("LIMIT_PEAK_SHAVING", "true", None),
        Measurand("LIMIT_DER_EXPORT", "false", None),
        Measurand("SOC", 71.5, "%"),
        Measurand("DEVICE_POWER_STATE", "on", None),
        Measurand("BESS_OPERATIONAL_MODE", "automatic", None),
    )
    assert tuple(BBA.rules) == DRIVEN


@pytest.mark.parametrize("row", table(DOCUMENT, "automatic dispatch"), ids=lambda row: "-".join(row))
@pytest.mark.parametrize("revision", REVISIONS)
def test_the_truth_table_of_the_operational_mode(revision: str, row: list[str]) -> None:
    automatic, charge, discharge = (cell == "yes" for cell in row[:3])
    inputs: dict[str, InputValue] = {
        "automatic_dispatch_on": automatic,
        "manual_charge_on": charge,
        "manual_discharge_on": discharge,
    }
    assert values(inputs, read(load(revision))) == {"BESS_OPERATIONAL_MODE": row[3]}


def test_the_truth_table_of_the_documentation_is_whole() -> None:
    rows = table(DOCUMENT, "automatic dispatch")
    assert len({tuple(row[:3]) for row in rows}) == len(rows) == 8


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "ok"),
        ({"heartbeat_interval": 30}, "ok"),
        ({"heartbeat_interval": 30.1}, "timeout"),
        ({"heartbeat_interval": 31, "heartbeat_good": False}, "timeout"),
        ({"heartbeat_good": False}, "error"),
        ({"heartbeat_good": None}, "error"),
        ({"heartbeat_interval": None}, "ok"),
        ({"heartbeat_interval": None, "heartbeat_good": None}, "error"),
        ({"controller_connected": None, "heartbeat_good": None}, "error"),
        ({"controller_connected": False}, "connection_lost"),
        ({"controller_connected": False, "heartbeat_interval": 99, "heartbeat_good": False}, "connection_lost"),
        ({"controller_connected": False, "heartbeat_interval": None, "heartbeat_good": None}, "connection_lost"),
    ],
)
def test_the_heartbeat(changes: dict[str, InputValue], status: str) -> None:
    assert values(INPUTS | changes)["HEARTBEAT_STATUS"] == status


@pytest.mark.parametrize(
    ("name", "when_on", "when_off"),
    [
        ("peak_shaving_on", "true", "false"),
        ("der_export_limit_on", "true", "false"),
        ("battery_on", "on", "off"),
    ],
)
def test_switches(name: str, when_on: str, when_off: str) -> None:
    for value, wanted in ((True, when_on), (False, when_off), (None, None)):
        assert list(values({name: value}).values()) == [wanted]


def test_an_input_without_a_value_makes_null_and_one_that_is_not_there_makes_nothing() -> None:
    for name in set(INPUTS) - {"controller_connected", "heartbeat_interval", "heartbeat_good"}:
        (key,) = [key for key, rule in BBA.rules.items() if name in rule.inputs]
        assert values(INPUTS | {name: None})[key] is None
        rest = {other: value for other, value in INPUTS.items() if other != name}
        assert values(rest) == {other: value for other, value in values(INPUTS).items() if other != key}


def test_a_revision_without_peak_shaving_is_a_file_alone() -> None:
    lacking = read(load("bba-1-no-peak-shaving.yaml"))
    inputs = {name: value for name, value in INPUTS.items() if name != "peak_shaving_on"}
    told = values(inputs, lacking)
    assert tuple(told) == tuple(key for key in DRIVEN if key is not MeasurandKey.LIMIT_PEAK_SHAVING)
    assert told == {key: value for key, value in values(INPUTS).items() if key != "LIMIT_PEAK_SHAVING"}
    with pytest.raises(InputError, match="has no input 'peak_shaving_on'"):
        translate(lacking, INPUTS)


@pytest.mark.parametrize(
    ("name", "value"), [("peak_shaving_on", 1), ("peak_shaving_on", 0.0), ("available_power", True), ("unknown", None)]
)
def test_an_input_of_the_wrong_kind(name: str, value: InputValue) -> None:
    with pytest.raises(InputError, match=name):
        translate(BBA, {name: value})


numbers = st.floats(0, 100) | st.none()
booleans = st.booleans() | st.none()


@given(
    st.fixed_dictionaries(
        {}, optional={name: numbers if kind is InputKind.NUMBER else booleans for name, kind in BBA.inputs.items()}
    )
)
def test_whatever_the_inputs_the_packet_keeps_the_contract(inputs: dict[str, InputValue]) -> None:
    measurands = translate(BBA, inputs)
    document = {
        "device_id": "5b2f6a0e-6f0b-4f6e-9a53-0d6e2f1c7a10",
        "timestamp": 0,
        "sensors": [{"sensor_id": "mgc-1", "measurands": [measurand._asdict() for measurand in measurands]}],
    }
    packet = parse_packet(document)
    assert isinstance(packet, Packet)
    for measurand in packet.sensors[0].measurands:
        if measurand.value is not None:
            read_back = read_measurand(MeasurandKey(measurand.key), measurand.value, measurand.unit)
            assert not isinstance(read_back, Unreadable)


# Tables


def test_the_example_of_the_documentation_is_a_table() -> None:
    (example,) = examples(DOCUMENT, "yaml")
    assert len(read(yaml.safe_load(example)).rules) == 3


def test_the_heartbeat_threshold_of_the_documentation() -> None:
    document = load("bba-1.yaml")
    (above,) = [
        case["above"] for case in document["measurands"]["HEARTBEAT_STATUS"]["cases"]["first"] if "above" in case
    ]
    assert any(f"({above} s in revision 1)" in row[0] for row in table(DOCUMENT, "condition"))


MODE = "/measurands/BESS_OPERATIONAL_MODE"
HEARTBEAT = "/measurands/HEARTBEAT_STATUS"
DELETE = object()


@pytest.mark.parametrize(
    ("path", "value", "pointer", "code"),
    [
        ("controller", DELETE, "", TableCode.WRONG_FORM),
        ("note", 1, "", TableCode.WRONG_FORM),
        ("revision", 1, "/revision", TableCode.WRONG_FORM),
        ("inputs/spare", "watts", "/inputs/spare", TableCode.WRONG_FORM),
        ("measurands", [], "/measurands", TableCode.WRONG_FORM),
        ("measurands/HEARTBEAT_STATUS", DELETE, "/measurands", TableCode.MEASURAND_REQUIRED),
        ("measurands/AVAILABLE_CHARGING_CAPACITY", DELETE, "/measurands", TableCode.MEASURAND_REQUIRED),
        ("measurands/soc", {"number": "available_power"}, "/measurands/soc", TableCode.UNKNOWN_MEASURAND),
        ("measurands/SOC", None, "/measurands/SOC", TableCode.WRONG_FORM),
        ("measurands/SOC", {"formula": "x"}, "/measurands/SOC", TableCode.WRONG_FORM),
        ("measurands/SOC/number", "nothing", "/measurands/SOC/number", TableCode.UNKNOWN_INPUT),
        ("measurands/SOC/number", ["battery_on"], "/measurands/SOC/number", TableCode.WRONG_FORM),
        ("measurands/SOC/number", "battery_on", "/measurands/SOC/number", TableCode.WRONG_INPUT_KIND),
        ("measurands/BESS_OPERATIONAL_MODE", {"number": "available_power"}, MODE, TableCode.WRONG_RULE),
        ("measurands/CURRENT", {"cases": {}}, "/measurands/CURRENT", TableCode.WRONG_RULE),
        ("measurands/BESS_OPERATIONAL_MODE/truth_table", [], f"{MODE}/truth_table", TableCode.WRONG_FORM),
        ("measurands/BESS_OPERATIONAL_MODE/truth_table/rows", 1, f"{MODE}/truth_table", TableCode.WRONG_FORM),
        (
            "measurands/BESS_OPERATIONAL_MODE/truth_table/inputs/0",
            "available_power",
            f"{MODE}/truth_table/inputs/0",
            TableCode.WRONG_INPUT_KIND,
        ),
        (
            "measurands/BESS_OPERATIONAL_MODE/truth_table/rows/7",
            DELETE,
            f"{MODE}/truth_table/rows",
            TableCode.INCOMPLETE_TRUTH_TABLE,
        ),
        (
            "measurands/BESS_OPERATIONAL_MODE/truth_table/rows/8",
            [True, True, True, "idle"],
            f"{MODE}/truth_table/rows/8",
            TableCode.INCOMPLETE_TRUTH_TABLE,
        ),
        (
            "measurands/BESS_OPERATIONAL_MODE/truth_table/rows/8",
            [0, 0, 0, "idle"],
            f"{MODE}/truth_table/rows/8",
            TableCode.WRONG_FORM,
        ),
        (
            "measurands/BESS_OPERATIONAL_MODE/truth_table/rows/0/3",
            "Idle",
            f"{MODE}/truth_table/rows/0",
            TableCode.UNKNOWN_TEXT,
        ),
        (
            "measurands/DEVICE_POWER_STATE/truth_table/rows/1/1",
            True,
            "/measurands/DEVICE_POWER_STATE/truth_table/rows/1",
            TableCode.UNKNOWN_TEXT,
        ),
        ("measurands/HEARTBEAT_STATUS/cases/first", [], f"{HEARTBEAT}/cases/first", TableCode.WRONG_FORM),
        ("measurands/HEARTBEAT_STATUS/cases/otherwise", "bad", f"{HEARTBEAT}/cases/otherwise", TableCode.UNKNOWN_TEXT),
        ("measurands/HEARTBEAT_STATUS/cases/otherwise", DELETE, f"{HEARTBEAT}/cases", TableCode.WRONG_FORM),
        (
            "measurands/HEARTBEAT_STATUS/cases/first/0/equals",
            "no",
            f"{HEARTBEAT}/cases/first/0/equals",
            TableCode.WRONG_FORM,
        ),
        (
            "measurands/HEARTBEAT_STATUS/cases/first/1/above",
            True,
            f"{HEARTBEAT}/cases/first/1/above",
            TableCode.WRONG_FORM,
        ),
        (
            "measurands/HEARTBEAT_STATUS/cases/first/1/input",
            "heartbeat_good",
            f"{HEARTBEAT}/cases/first/1/input",
            TableCode.WRONG_INPUT_KIND,
        ),
        (
            "measurands/HEARTBEAT_STATUS/cases/first/1/equals",
            True,
            f"{HEARTBEAT}/cases/first/1",
            TableCode.WRONG_FORM,
        ),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_place(
    path: str, value: object, pointer: str, code: TableCode
) -> None:
    document = copy.deepcopy(load("bba-1.yaml"))
    *to, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    inner: Any = document
    for step in to:
        inner = inner[step]
    if value is DELETE:
        del inner[last]
    elif isinstance(last, int) and last == len(inner):
        inner.append(value)
    else:
        inner[last] = value
    parsed = parse_table(document)
    assert isinstance(parsed, InvalidTable)
    assert [(each.pointer, each.code) for each in parsed.violations] == [(pointer, code)]


@pytest.mark.parametrize("document", [None, [], "table", 5, {True: 1}])
def test_what_is_no_table_at_all(document: object) -> None:
    assert isinstance(parse_table(document), InvalidTable)


def test_a_bare_on_of_yaml_is_told() -> None:
    document = yaml.safe_load((FOLDER / "bba-1.yaml").read_text(encoding="utf-8").replace('"on"]', "on]"))
    parsed = parse_table(document)
    assert isinstance(parsed, InvalidTable)
    assert [each.code for each in parsed.violations] == [TableCode.UNKNOWN_TEXT]
