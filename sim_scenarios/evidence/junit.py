"""A run as JUnit XML, for whatever reads test reports."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, tostring

from domain.simulation.scenario_runs import RunOutcome
from sim_scenarios.evidence.evidence import Evidence
from sim_scenarios.language.quantities import duration_text
from sim_scenarios.runs.expectations import value_words

# What XML 1.0 has no way to write.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def distinct(names: Iterable[str]) -> list[str]:
    """Number names that come again, so that each is there once: ``heartbeat``, ``heartbeat-2``, ``heartbeat-3``."""
    wanted = list(names)
    taken = set(wanted)
    seen = Counter[str]()
    made: list[str] = []
    for name in wanted:
        seen[name] += 1
        chosen = name
        if seen[name] > 1:
            while (chosen := f"{name}-{seen[name]}") in taken:
                seen[name] += 1
            taken.add(chosen)
        made.append(chosen)
    return made


def junit_xml(*runs: Evidence) -> bytes:
    """Make the report from the evidence alone: a suite for each run, in it a test case for each expectation.

    No two suites, and no two cases of a suite, have one name.
    """
    suites = Element("testsuites", {"name": "depot simulation"})
    sums = {"tests": 0, "failures": 0, "errors": 0}
    for evidence, name in zip(runs, distinct(str(each.run["scenario"]) for each in runs), strict=True):
        for key, count in _add_suite(suites, evidence, name).items():
            sums[key] += count
    suites.attrib.update({key: str(count) for key, count in sums.items()})
    return tostring(suites, encoding="utf-8", xml_declaration=True)


def _add_suite(suites: Element, evidence: Evidence, name: str) -> dict[str, int]:
    result = evidence.result
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
        for check, subject in zip(record["checks"], _subjects(record["checks"]), strict=True):
            case = SubElement(suite, "testcase", {"classname": name, "name": _writable(f"{title}: {subject}")})
            if not check["passed"]:
                SubElement(case, "failure", {"message": _writable(check["words"]), "type": "expectation"})
    if incomplete:
        case = SubElement(suite, "testcase", {"classname": name, "name": "the whole run"})
        message = f"{result['steps']} of {evidence.run['steps']} steps were sent."
        SubElement(case, "error", {"message": message, "type": "incomplete"})
    return counts


def _subjects(checks: Sequence[dict[str, Any]]) -> list[str]:
    """Say what each expectation of a step is about; of several about the same, also what each wants."""
    times = Counter(check["subject"] for check in checks)
    return distinct(
        check["subject"] if times[check["subject"]] == 1 else f"{check['subject']} {value_words(check['wanted'])}"
        for check in checks
    )


def _writable(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
