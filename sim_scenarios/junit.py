"""A run as JUnit XML, for whatever reads test reports."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from sim_scenarios.evidence import Evidence, RunOutcome
from sim_scenarios.quantities import duration_text


def junit_xml(evidence: Evidence) -> bytes:
    """Make the report from the evidence alone: a test case for each expectation, with the step that it belongs to."""
    result, name = evidence.result, str(evidence.run["scenario"])
    incomplete = result["outcome"] == RunOutcome.INCOMPLETE
    counts = {
        "tests": str(result["passed"] + result["failed"] + incomplete),
        "failures": str(result["failed"]),
        "errors": str(int(incomplete)),
    }
    suites = Element("testsuites", {"name": "depot simulation", **counts})
    suite = SubElement(suites, "testsuite", {"name": name, **counts})
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
    return tostring(suites, encoding="utf-8", xml_declaration=True)
