"""The evidence of a run: what was sent, what was answered, where the product stood, what held and what did not.

One JSON object a line (NDJSON), each in the canonical form of RFC 8785: a record of the run, one of each step, one of
the result. The same scenario, seed and configuration give the same bytes on every machine and day, because nothing in
it comes from a clock or from a database: times are virtual, gateways go by their names, and what the depot's history
left behind is not in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import rfc8785

from domain.simulation.scenario_runs import RunOutcome
from sim_scenarios.runs.bindings import Bindings
from sim_scenarios.runs.expectations import Checked, Observed
from sim_scenarios.runs.scenario import Scenario
from sim_scenarios.runs.steps import Step, check_step

FORMAT = 1
"""Of these records; another number, another meaning."""

Record = dict[str, Any]


class BrokenEvidenceError(Exception):
    """Bytes that are no evidence; the message says why."""


def run_record(scenario: Scenario, seed: int, bindings: Bindings) -> Record:
    """Return the first record: what the run was made from."""
    return {
        "record": "run",
        "format": FORMAT,
        "scenario": scenario.name,
        "title": scenario.model.title,
        "digest": scenario.digest,
        "seed": seed,
        "controller": scenario.table.controller,
        "revision": scenario.table.revision,
        "every_ms": scenario.model.every,
        "steps": scenario.steps,
        "bindings": bindings.evidence(),
    }


def step_record(step: Step, observed: Observed) -> Record:
    """Return the record of a step, its expectations checked."""
    return {
        "record": "step",
        "step": step.index,
        "offset_ms": step.offset_ms,
        "name": step.name,
        "packets": [
            {
                "gateway": packet.gateway,
                "copy": packet.copy,
                # The timestamp of the evidence is the virtual one, and the device is the gateway named above.
                "packet": {"timestamp": packet.measured_ms, **packet.body},
            }
            for packet in step.packets
        ],
        "answers": [
            {
                "packet": each.packet,
                "sensor_id": each.sensor_id,
                "action": each.action,
                "outcome": each.outcome,
                "code": each.code,
            }
            for each in sorted(observed.answers, key=lambda each: (each.packet, each.sensor_id, each.action))
        ],
        "downstream": observed.downstream.document() if step.looks and observed.downstream is not None else None,
        "checks": [_check(each) for each in check_step(step, observed)],
        "site": step.state.document(),
    }


def _check(checked: Checked) -> Record:
    return {
        "subject": checked.expectation.subject,
        "wanted": checked.expectation.document(),
        "actual": checked.actual,
        "passed": checked.passed,
        "words": checked.words,
    }


def result_record(run: Mapping[str, Any], steps: Iterable[Mapping[str, Any]]) -> Record:
    """Return the last record: the sums, and the digest of everything that was sent."""
    sent = hashlib.sha256()
    count = passed = failed = packets = 0
    for record in steps:
        count += 1
        packets += len(record["packets"])
        sent.update(rfc8785.dumps(record["packets"]) + b"\n")
        held = sum(each["passed"] for each in record["checks"])
        passed, failed = passed + held, failed + len(record["checks"]) - held
    complete = count == run["steps"]
    return {
        "record": "result",
        "outcome": RunOutcome.INCOMPLETE if not complete else RunOutcome.FAILED if failed else RunOutcome.PASSED,
        "steps": count,
        "packets": packets,
        "passed": passed,
        "failed": failed,
        "sent_sha256": sent.hexdigest(),
    }


def line(record: Mapping[str, Any]) -> bytes:
    """Return a record as its line of the evidence, with the line's end."""
    return rfc8785.dumps(dict(record)) + b"\n"


def sha256_of(evidence: bytes) -> str:
    """Return the digest that identifies evidence."""
    return hashlib.sha256(evidence).hexdigest()


@dataclass(frozen=True)
class Evidence:
    """Evidence as it is read back."""

    run: Record
    steps: tuple[Record, ...]
    result: Record
    sha256: str


def read_evidence(evidence: bytes) -> Evidence:
    """Read evidence.

    Raises:
        BrokenEvidenceError: the bytes are none, or of another format.

    """
    try:
        records: list[Record] = [json.loads(each) for each in evidence.splitlines()]
        kinds = [record["record"] for record in records]
    except (ValueError, TypeError, KeyError):
        raise BrokenEvidenceError("The evidence is not one JSON object with a record a line.") from None
    if len(records) < 2 or kinds[0] != "run" or kinds[-1] != "result" or set(kinds[1:-1]) - {"step"}:
        raise BrokenEvidenceError("The evidence is not a record of the run, records of steps and one of the result.")
    if records[0].get("format") != FORMAT:
        raise BrokenEvidenceError(f"The evidence is of format {records[0].get('format')}; this is format {FORMAT}.")
    return Evidence(records[0], tuple(records[1:-1]), records[-1], sha256_of(evidence))
