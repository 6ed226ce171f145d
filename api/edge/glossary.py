"""What the names of the API's fields and parameters mean, wherever one of them appears.

A field whose own model says more than this keeps its own words. Each entry is a description, and an example where one
helps.
"""

from __future__ import annotations

from typing import Any, NamedTuple


class Meaning(NamedTuple):
    """What a name means, with an example that fits every field of the name; None: no example."""

    description: str
    example: Any = None


_ID = "0198c3a5-6d52-7c11-9f0e-2a4b8c1d3e5f"
_MOMENT = "2026-03-02T08:15:00Z"

MEANINGS: dict[str, Meaning] = {
    # Ids
    "backfill_id": Meaning("The backfill's id.", _ID),
    "binding_id": Meaning("The controller binding's id.", _ID),
    "circuit_id": Meaning("The circuit's id.", _ID),
    "depot_id": Meaning("The depot's id.", _ID),
    "device_id": Meaning("The device's id.", _ID),
    "event_id": Meaning("The event's id.", _ID),
    "gateway_id": Meaning("The gateway's id.", _ID),
    "microgrid_id": Meaning("The microgrid's id.", _ID),
    "node_id": Meaning("The grid connection's own id, which it keeps as long as its circuit is top-level.", _ID),
    "packet_id": Meaning("The packet's id."),
    "power_source_id": Meaning("The power source's id.", _ID),
    "remediation_id": Meaning("The remediation's id.", _ID),
    "run_id": Meaning("The scenario run's id.", _ID),
    "sensor_action_id": Meaning("The sensor action's id.", _ID),
    "sensor_id": Meaning("The sensor's id within its gateway.", "mgc-1"),
    "source_device_id": Meaning("The device whose packet brought it; null: it was posted."),
    "target_id": Meaning("What is written to: a microgrid, a power source or a circuit."),
    # Names
    "name": Meaning("The name that people know it by."),
    "circuit_name": Meaning("The circuit's name."),
    "depot_name": Meaning("The depot's name.", "Arrow Road"),
    "device_name": Meaning("The device's name."),
    "gateway_name": Meaning("The gateway's name."),
    "owner_device_name": Meaning("The name of the device that supplies the capability now."),
    "site_model_name": Meaning("The name of the site model that the gateway was set up with; null: none."),
    "source_device_name": Meaning("The name of the device whose packet brought it."),
    "before_device_id": Meaning("The device that supplies it today; null: none."),
    "before_device_name": Meaning("The name of the device that supplies it today."),
    "after_device_id": Meaning("The device that would supply it; null: none."),
    "after_device_name": Meaning("The name of the device that would supply it."),
    # Who and when
    "actor": Meaning("Who did it."),
    "at": Meaning("When it happened."),
    "closed_at": Meaning("When it was closed; null: it is open."),
    "closed_by": Meaning("Who closed it; null: it is open."),
    "created_at": Meaning("When it was made.", _MOMENT),
    "created_by": Meaning("Who made it.", "local-admin"),
    "finished_at": Meaning("When it ended; null: it has not."),
    "observed_at": Meaning("When the device measured it.", _MOMENT),
    "received_at": Meaning("When the product received it.", _MOMENT),
    "recorded_by": Meaning("Who sent it."),
    "requested_at": Meaning("When it was asked for.", _MOMENT),
    "requested_by": Meaning("Who asked for it."),
    "sent_at": Meaning("When the step's packet was sent."),
    "since": Meaning("From this moment on."),
    "started_at": Meaning("When it began; null: it has not."),
    "synced_at": Meaning("When it last became equal to the circuits."),
    "until": Meaning("Up to this moment."),
    "updated_at": Meaning("When it was last changed.", _MOMENT),
    "updated_by": Meaning("Who changed it last."),
    # Lists
    "items": Meaning("What was found, in the list's order."),
    "next_cursor": Meaning("Give it as `cursor` for the next page; null: this is the last one."),
    "search": Meaning("A part of the name, in upper or lower case."),
    # Sites
    "actions": Meaning("What each sensor action did with it."),
    "action": Meaning("The kind of sensor action."),
    "action_title": Meaning("The kind of sensor action, in words."),
    "capability": Meaning("The capability of the microgrid."),
    "capabilities": Meaning("The capabilities that the device supplies."),
    "children": Meaning("The circuits below it, in their order."),
    "circuits": Meaning("Circuits, in their order."),
    "controller": Meaning("The controller revision of the device; null: it is no controller."),
    "device": Meaning("The device that is bound."),
    "devices": Meaning("Devices."),
    "depots": Meaning("Depots."),
    "enabled": Meaning("Whether it is in effect."),
    "gateways": Meaning("Gateways."),
    "grid_connections": Meaning("One for each top-level circuit, in their order."),
    "kind": Meaning("What it is.", "BATTERY"),
    "measurand": Meaning("The measurand."),
    "measurands": Meaning("Measurands."),
    "output_translation": Meaning("How the gateway's own values are translated; null: not at all."),
    "position": Meaning("The place among the siblings, from 0."),
    "power_sources": Meaning("Power sources."),
    "provisioning": Meaning("Whether the depot has its microgrid, and if not, why not."),
    "rated_power_w": Meaning("The rating in watts; null: it is not known.", 400_000),
    "thresholds": Meaning("The thresholds in seconds, by capability."),
    "timezone": Meaning("A name of the IANA time zone database."),
    "unlinked_devices": Meaning("Devices that are linked to no circuit."),
    "unlinked_power_sources": Meaning("Power sources that are linked to no circuit."),
    "version": Meaning("Moves with each change of it.", 3),
    # Packets, statuses, readings
    "as_of": Meaning("The moment of which it is told.", _MOMENT),
    "code": Meaning("A stable code, for programs."),
    "document": Meaning("The packet as it came."),
    "freshness": Meaning("How old the status is, against its threshold."),
    "key": Meaning("The measurand's key in packets.", "TOTAL_POWER_LOAD"),
    "last_value": Meaning("The last value that came; null: none yet."),
    "mode": Meaning("Whose capacity holds: the controller's, or the fail-safe."),
    "problem": Meaning("Why it was refused; null: it was not."),
    "provider_event_ref": Meaning("The sender's own reference; the same one again changes nothing.", "evt-2041"),
    "sensors": Meaning("The gateway's sensors and what each measured."),
    "unit": Meaning("The unit; null where the quantity has none."),
    "value": Meaning("A number in the unit, or a text."),
    # Remediations and what resolves
    "blocks": Meaning("What cannot run without it."),
    "candidates": Meaning("Those between which it is not decided."),
    "remediation": Meaning("What to do where nothing can be written to; null: there is no need."),
    "to_do": Meaning("What to do about it, for people."),
    "what": Meaning("What it is about, for people."),
    "effect": Meaning("What would become of it."),
    "valid": Meaning("Whether it would be accepted."),
    # Changes and comparisons
    "added": Meaning("What was added."),
    "after": Meaning("The value after the change."),
    "before": Meaning("The value before the change."),
    "field": Meaning("The field."),
    "fields": Meaning("Every field that changed."),
    "first": Meaning("Of the first run."),
    "moved": Meaning("What was moved to another place."),
    "removed": Meaning("What was removed."),
    "renamed": Meaning("What was renamed."),
    "second": Meaning("Of the second run."),
    "version_after": Meaning("The microgrid's version after it."),
    "version_before": Meaning("The microgrid's version before it."),
    "words": Meaning("The difference, for people."),
    # Jobs
    "checks_failed": Meaning("Expectations that failed so far."),
    "checks_passed": Meaning("Expectations that passed so far."),
    "depots_done": Meaning("Depots that have their outcome."),
    "digest": Meaning("The SHA-256 of the scenario's text."),
    "dry_run": Meaning("Whether it only says what it would do."),
    "duration_seconds": Meaning("How long it takes at the speed of real time."),
    "failure": Meaning("Why it failed, for people; null: it did not."),
    "outcome": Meaning("What became of it."),
    "packets_sent": Meaning("Packets that were sent so far."),
    "page_size": Meaning("Depots in one transaction."),
    "scenario": Meaning("The scenario's name.", "peak-shaving"),
    "seed": Meaning("What the scenario's noise is made from: the same seed makes the same packets.", 1),
    "state": Meaning("Where it stands."),
    "step": Meaning("The step's number, from 0."),
    "steps": Meaning("How many steps it has."),
    "steps_done": Meaning("Steps that have their evidence."),
    "steps_total": Meaning("Steps of the scenario."),
    "time_scale": Meaning("Real seconds a virtual second; 0: as fast as it goes, 1: in real time."),
    # Imports
    "landed": Meaning("How many lines of each type are stored now that were not before."),
    "lines": Meaning("Lines that were read, without blank ones."),
    "refusals": Meaning("Every refused line, in the order of the file."),
    "refused": Meaning("Lines that were refused."),
    # Problems and health
    "database": Meaning("Whether PostgreSQL answers."),
    "description": Meaning("What it is for, for people."),
    "detail": Meaning("What is wrong, for people."),
    "errors": Meaning("Every field that is wrong."),
    "pages": Meaning("Whether the operator pages have the files that they load."),
    "status": Meaning("How it stands."),
    "temporal": Meaning("Whether Temporal answers."),
    "title": Meaning("What it is called, for people."),
}
