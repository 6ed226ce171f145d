"""A run as JUnit XML, for whatever reads test reports."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from domain.scenario_runs import RunOutcome
from sim_scenarios.evidence import Evidence
from sim_scenarios.quantities import duration_text


def junit_xml(*runs: Evidence) -> bytes:
    """Make the report from the evidence alone: a suite for each run, in it a test case for each expectation."""
    suites = Element("testsuites", {"name": "depot simulation"})
    sums = {"tests": 0, "failures": 0, "errors": 0}
    for evidence in runs:
        for key, count in _add_suite(suites, evidence).items():
            sums[key] += count
    suites.attrib.update({key: str(count) for key, count in sums.items()})
    return tostring(suites, encoding="utf-8", xml_declaration=True)


def _add_suite(suites: Element, evidence: Evidence) -> dict[str, int]:
    result, name = evidence.result, str(evidence.run["scenario"])
    incomplete = result["outcome"] == RunOutcome.INCOMPLETE
    counts = {
        "tests": result["passed"] + result["failed"] + incomplete,
        "failures": result["failed"],
        "errors": int(incomplete),
    }
    suite = SubElement(suites, "testsuite", {"name": name, **{key: str(count) for key, count in counts.items()}})
    properties = SubElement(suite, "properties")
    said = {"seed": evidence.run["seed"], "digest": evidence.run["digest"], "evidence_sha256": evidence.sha256}
    for key, value in said.items():
        SubElement(properties, "property", {"name": key, "value": str(value)})
    for record in evidence.steps:
        title = f"step {record['step']} at {duration_text(record['offset_ms'])}"
        title += f", {record['name']}" if record["name"] else ""
        for check in record["checks"]:
            case = SubElement(suite, "testcase", {"classname": name, "name": f"{title}: {check['subject']}"})
            if not check["passed"]:
                SubElement(case, "failure", {"message": check["words"], "type": "expectation"})
    if incomplete:
        case = SubElement(suite, "testcase", {"classname": name, "name": "the whole run"})
        message = f"{result['steps']} of {evidence.run['steps']} steps were sent."
        SubElement(case, "error", {"message": message, "type": "incomplete"})
    return counts
