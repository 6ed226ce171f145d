"""What stops an update although the packet is good, and what a person does about it.

A remediation is about the site's configuration, never about one packet: it stays open until the configuration is
mended and a packet goes through, or until somebody resolves it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class RemediationCode(StrEnum):
    """Why a sensor action has nowhere certain to write to. Nothing is written where one of these is the answer."""

    NO_POWER_SOURCE = "NO_POWER_SOURCE"
    NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY = "NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY"
    NO_CIRCUIT_AND_NO_BATTERY = "NO_CIRCUIT_AND_NO_BATTERY"
    SEVERAL_POWER_SOURCES_ON_CIRCUIT = "SEVERAL_POWER_SOURCES_ON_CIRCUIT"
    SEVERAL_BATTERIES = "SEVERAL_BATTERIES"
    OUTPUT_TRANSLATION_MALFORMED = "OUTPUT_TRANSLATION_MALFORMED"
    OUTPUT_TRANSLATION_NOT_IN_DEPOT = "OUTPUT_TRANSLATION_NOT_IN_DEPOT"
    DEVICE_WITHOUT_CIRCUIT = "DEVICE_WITHOUT_CIRCUIT"
    CIRCUIT_FOLLOWS_ANOTHER_DEVICE = "CIRCUIT_FOLLOWS_ANOTHER_DEVICE"
    MICROGRID_NOT_PROVISIONED = "MICROGRID_NOT_PROVISIONED"


@dataclass(frozen=True)
class RemediationText:
    """A remediation in words."""

    what: str
    """What is wrong, in one sentence."""
    to_do: str
    """What mends it, in one or two sentences."""


_TEXTS = {
    RemediationCode.NO_POWER_SOURCE: RemediationText(
        "The depot has no power source.",
        "Add the power source that the device measures, on the device's linked circuit.",
    ),
    RemediationCode.NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY: RemediationText(
        "The device's linked circuit has no power source, and the depot has no battery.",
        "Put the power source that the device measures on the device's linked circuit, or link the device to the "
        "circuit of that power source.",
    ),
    RemediationCode.NO_CIRCUIT_AND_NO_BATTERY: RemediationText(
        "The device is linked to no circuit, and the depot has no battery.",
        "Link the device to the circuit of the power source that it measures.",
    ),
    RemediationCode.SEVERAL_POWER_SOURCES_ON_CIRCUIT: RemediationText(
        "The device's linked circuit has several power sources, and none of them is the depot's one battery.",
        "Link the device to a circuit that has only the power source that it measures, or name that power source in "
        "the gateway's output_translation.",
    ),
    RemediationCode.SEVERAL_BATTERIES: RemediationText(
        "The depot has several batteries, and the device's linked circuit does not identify one.",
        "Link the device to the circuit of the battery that it measures, or name that battery in the gateway's "
        "output_translation.",
    ),
    RemediationCode.OUTPUT_TRANSLATION_MALFORMED: RemediationText(
        "The gateway's output_translation is needed to find the power source, and is malformed.",
        'Give it the form {"power_source_id": "<UUID>"}, or remove it and link the device to the circuit of the power '
        "source that it measures.",
    ),
    RemediationCode.OUTPUT_TRANSLATION_NOT_IN_DEPOT: RemediationText(
        "The gateway's output_translation is needed to find the power source, and names none of this depot.",
        "Name a power source of the depot, or remove the output_translation and link the device to the circuit of the "
        "power source that it measures.",
    ),
    RemediationCode.DEVICE_WITHOUT_CIRCUIT: RemediationText(
        "The device is to update the capacity of a circuit, and is linked to none.",
        "Link the device to the circuit whose capacity its controller sets.",
    ),
    RemediationCode.CIRCUIT_FOLLOWS_ANOTHER_DEVICE: RemediationText(
        "The capacity of the device's linked circuit already follows another device.",
        "Remove Update Circuit Capacity from one of the two devices, or link one of them to another circuit.",
    ),
    RemediationCode.MICROGRID_NOT_PROVISIONED: RemediationText(
        "The depot has no microgrid to show the status of.",
        "Add a top-level circuit to the depot, or run the backfill if the depot has one: the microgrid follows.",
    ),
}

REMEDIATIONS: Mapping[RemediationCode, RemediationText] = MappingProxyType(_TEXTS)
"""What to say of each code."""
