"""Evidence: its canonical form, what is compared, and the reports made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest
import rfc8785

from sim_scenarios.evidence.difference import NOTHING, diff
from sim_scenarios.evidence.evidence import (
    BrokenEvidenceError,
    RunOutcome,
    line,
    read_evidence,
    run_record,
    sha256_of,
    step_record,
)
from sim_scenarios.evidence.html_report import html_report
from sim_scenarios.evidence.junit import distinct, junit_xml
from sim_scenarios.language.expected import Between
from sim_scenarios.runs.expectations import Answer, Downstream, Expectation, Observed, ObservedCircuit, Wanted, check
from sim_scenarios.runs.library import preset
from sim_scenarios.runs.sample import GATEWAY_ID, sample_bindings
from sim_scenarios.runs.steps import expand
from tests.scenarios.samples import failing, good, small
from tests.scenarios.stand_in import evidence_of, run_scenario

DOWNSTREAM = Downstream(
    capabilities={"PEAK_SHAVING": "ON", "DER": None},
    circuit=ObservedCircuit("FAIL_SAFE", "NO_PACKET", 120_000.0),
    power_source={"SOC": 60.0, "DEVICE_POWER_STATE": "on"},
    remediations=("SEVERAL_BATTERIES", "DEVICE_WITHOUT_CIRCUIT", "SEVERAL_BATTERIES"),
)
ANSWERS = (
    Answer(1, "mgc-1", "UPDATE_CIRCUIT_CAPACITY", "IGNORED", "LATE"),
    Answer(0, "mgc-1", "UPDATE_CIRCUIT_CAPACITY", "APPLIED", "SHOWN"),
    Answer(0, "mgc-1", "UPDATE_POWER_SOURCE_STATE", "REMEDIATION", "SEVERAL_BATTERIES"),
)
OBSERVED = Observed(ANSWERS, DOWNSTREAM, sent={"SOC": 60.0, "LIMIT_PEAK_SHAVING": None})


# Expectations


@pytest.mark.parametrize(
    ("subject", "wanted", "passed"),
    [
        ("capabilities/PEAK_SHAVING", "ON", True),
        ("capabilities/PEAK_SHAVING", "OFF", False),
        ("capabilities/DER", "NONE", True),
        ("capabilities/DER", "OFF", False),
        ("circuit/mode", "FAIL_SAFE", True),
        ("circuit/reason", "CONNECTION_LOST", False),
        ("circuit/capacity_w", 120_000, True),
        ("circuit/capacity_w", Between(0, 120_000), True),
        ("circuit/capacity_w", Between(120_001, 130_000), False),
        ("power_source/SOC", 60, True),
        ("power_source/DEVICE_POWER_STATE", "off", False),
        ("power_source/DEVICE_POWER_STATE", Between(0, 1), False),
        ("power_source/BESS_OPERATIONAL_MODE", None, True),
        ("remediations", ("DEVICE_WITHOUT_CIRCUIT", "SEVERAL_BATTERIES"), True),
        ("remediations", (), False),
        ("answers/UPDATE_CIRCUIT_CAPACITY", ("APPLIED", "IGNORED LATE"), True),
        ("answers/UPDATE_CIRCUIT_CAPACITY", ("APPLIED", "IGNORED"), True),
        ("answers/UPDATE_CIRCUIT_CAPACITY", ("APPLIED", "IGNORED INCOMPLETE"), False),
        ("answers/UPDATE_CIRCUIT_CAPACITY", ("APPLIED",), False),
        ("answers/UPDATE_POWER_SOURCE_STATE", ("REMEDIATION SEVERAL_BATTERIES",), True),
        ("answers/UPDATE_MICROGRID_STATE", ("APPLIED",), False),
        ("sent/SOC", 60, True),
        ("sent/SOC", "absent", False),
        ("sent/LIMIT_PEAK_SHAVING", None, True),
        ("sent/LIMIT_PEAK_SHAVING", "absent", False),
        ("sent/DEVICE_POWER_STATE", "absent", True),
    ],
)
def test_an_expectation_comes_true_or_not(subject: str, wanted: Wanted, passed: bool) -> None:
    checked = check(Expectation(subject, wanted), OBSERVED)
    assert checked.passed is passed
    assert ("as expected" in checked.words) is passed


def test_what_failed_is_said_in_words() -> None:
    def words(subject: str, wanted: Wanted, observed: Observed = OBSERVED) -> str:
        return check(Expectation(subject, wanted), observed).words

    assert words("circuit/capacity_w", Between(1, 2)) == "circuit capacity_w should be from 1 to 2, and is 120,000."
    assert words("remediations", ()) == (
        "remediations should be none, and is DEVICE_WITHOUT_CIRCUIT, SEVERAL_BATTERIES."
    )
    assert words("circuit/mode", "CONTROLLER", Observed()) == "circuit mode should be CONTROLLER, and is not looked at."
    nothing = replace(OBSERVED, downstream=Downstream())
    assert words("circuit/mode", "CONTROLLER", nothing) == (
        "circuit mode should be CONTROLLER, and is without a value."
    )


# Form


def test_each_line_is_canonical_json() -> None:
    evidence, steps, _ = run_scenario(preset("quick-look"))
    lines = evidence.splitlines(keepends=True)
    assert len(lines) == len(steps) + 2
    for each in lines:
        assert rfc8785.dumps(json.loads(each)) + b"\n" == each
    found = read_evidence(evidence)
    assert found.sha256 == sha256_of(evidence)
    assert [step["offset_ms"] for step in found.steps] == [0, 60_000, 120_000, 180_000, 240_000]


def test_no_clock_and_no_database_is_in_it() -> None:
    evidence, _, stamps = run_scenario(preset("late-repeated-shuffled"))
    assert str(GATEWAY_ID).encode() not in evidence
    for stamp in stamps:
        assert str(stamp).encode() not in evidence
    late = read_evidence(evidence).steps[5]["packets"]
    assert [each["packet"]["timestamp"] for each in late] == [100_000, 60_000]


def test_answers_come_in_one_order() -> None:
    step = expand(preset("quick-look"), 1, sample_bindings())[0]
    one, other = (step_record(step, Observed(answers, DOWNSTREAM)) for answers in (ANSWERS, ANSWERS[::-1]))
    assert line(one) == line(other)
    assert one["downstream"]["remediations"] == ["DEVICE_WITHOUT_CIRCUIT", "SEVERAL_BATTERIES"]


def test_where_nobody_must_look_nothing_is_recorded() -> None:
    step = expand(good(small()), 1, sample_bindings())[0]
    assert not step.looks
    assert step_record(step, Observed((), DOWNSTREAM))["downstream"] is None


def test_a_run_that_broke_off_is_incomplete() -> None:
    scenario = preset("quick-look")
    found = read_evidence(evidence_of(run_record(scenario, 1, sample_bindings()), []))
    assert found.result["outcome"] == RunOutcome.INCOMPLETE
    report = fromstring(junit_xml(found))
    assert report.attrib["errors"] == "1"
    assert "0 of 5 steps" in html_report(found) or "0 of 5" in html_report(found)


@pytest.mark.parametrize("broken", [b"", b"no json\n", b"[]\n", b'{"record":"run"}\n', b'{"record":"step"}\n{}\n'])
def test_what_is_no_evidence_is_refused(broken: bytes) -> None:
    with pytest.raises(BrokenEvidenceError):
        read_evidence(broken)


def test_evidence_of_another_format_is_refused() -> None:
    evidence, _, _ = run_scenario(preset("quick-look"))
    with pytest.raises(BrokenEvidenceError, match="format 2"):
        read_evidence(evidence.replace(b'"format":1', b'"format":2', 1))


# Differences


def changed(evidence: bytes, step: int, change: dict[str, Any]) -> bytes:
    lines = evidence.splitlines(keepends=True)
    lines[step + 1] = line(json.loads(lines[step + 1]) | change)
    return b"".join(lines)


def test_equal_runs_do_not_differ() -> None:
    evidence, _, _ = run_scenario(preset("quick-look"))
    assert diff(evidence, evidence) == ()


def test_a_difference_is_told_by_step_field_and_both_values() -> None:
    evidence, _, _ = run_scenario(preset("quick-look"))
    (found,) = diff(evidence, changed(evidence, 2, {"name": "Something else"}))
    assert (found.record, found.step, found.field) == ("step", 2, "/name")
    assert (found.first, found.second) == ("The battery discharges by hand", "Something else")
    assert found.words == "step 2 /name: 'The battery discharges by hand' / 'Something else'"


def test_what_only_one_run_has_is_told() -> None:
    evidence, _, _ = run_scenario(preset("quick-look"))
    lines = evidence.splitlines(keepends=True)
    shorter = b"".join(lines[:-2] + lines[-1:])
    (found,) = diff(evidence, shorter)
    assert (found.step, found.field, found.second) == (4, "", NOTHING)
    assert found.words.endswith("/ nothing")
    (answer, *_) = diff(evidence, changed(evidence, 0, {"answers": []}))
    assert (answer.field, answer.second) == ("/answers/0", NOTHING)


def test_runs_of_two_seeds_differ_first_in_their_seed() -> None:
    one, other = (run_scenario(preset("quick-look"), seed=seed)[0] for seed in (1, 2))
    found = diff(one, other)
    assert (found[0].record, found[0].field, found[0].first, found[0].second) == ("run", "/seed", 1, 2)
    assert len(diff(one, other, most=3)) == 3


# Reports


def test_junit_has_a_case_for_each_expectation() -> None:
    found = read_evidence(failing())
    report = fromstring(junit_xml(found))
    assert (report.attrib["tests"], report.attrib["failures"], report.attrib["errors"]) == ("2", "1", "0")
    cases = report.findall("./testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == [
        "step 2 at 2m, <Never> & never: sent/SOC",
        "step 2 at 2m, <Never> & never: capabilities/DER",
    ]
    failure = cases[0].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "sent SOC should be 59, and is 60."
    assert cases[1].find("failure") is None
    values = {each.attrib["name"]: each.attrib["value"] for each in report.findall(".//property")}
    assert values["evidence_sha256"] == found.sha256


def test_no_two_cases_of_junit_have_one_name() -> None:
    circuit = {"mode": "CONTROLLER", "capacity_kw": 555}
    timeline = [{"at": "2m", "name": "Twice", "expect": {"circuit": circuit}}]
    found = read_evidence(run_scenario(good(small(timeline=timeline)))[0])
    # A run may be reported twice, too.
    report = fromstring(junit_xml(found, found))
    assert [suite.attrib["name"] for suite in report] == [found.run["scenario"], f"{found.run['scenario']}-2"]
    for suite in report:
        names = [case.attrib["name"] for case in suite.iter("testcase")]
        assert len(set(names)) == len(names) == 3
        failed = [case.attrib["name"] for case in suite.iter("testcase") if len(case)]
        assert failed == ["step 2 at 2m, Twice: circuit/capacity_w 555,000"]


def test_what_xml_cannot_write_breaks_no_report() -> None:
    lines = failing().replace(b"<Never> & never", b"\\u001b[31m\\u0000\\ufffe").splitlines(keepends=True)
    report = fromstring(junit_xml(read_evidence(b"".join(lines))))
    assert report.findall("./testsuite/testcase")[0].attrib["name"] == "step 2 at 2m, \ufffd[31m\ufffd\ufffd: sent/SOC"


def test_names_that_come_again_are_numbered_and_meet_no_other() -> None:
    assert distinct(["a", "b", "a", "a-2", "a"]) == ["a", "b", "a-3", "a-2", "a-4"]
    assert distinct([]) == []
    many = distinct(["x"] * 1000)
    assert len(set(many)) == 1000


def test_the_html_report_needs_nothing_else_and_shows_what_failed() -> None:
    found = read_evidence(failing())
    page = html_report(found)
    assert "&lt;Never&gt; &amp; never" in page
    assert "sent SOC should be 59, and is 60." in page
    assert found.sha256 in page
    assert page.count("<svg") == 2
    for reference in ("src=", "http", "<link", "<script", "@import", "url("):
        assert reference not in page


@pytest.mark.parametrize("name", ["quick-look", "heartbeat-silence", "der-export-limit", "morning-pull-out"])
def test_reports_are_made_of_every_kind_of_run(name: str) -> None:
    found = read_evidence(run_scenario(preset(name))[0])
    page = html_report(found)
    assert page == html_report(found)
    assert page.count('<tr id="step-') == len(found.steps)
    assert fromstring(junit_xml(found)).attrib["failures"] == "0"
