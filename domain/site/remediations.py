"""What stops an update although the packet is good, and what a person does about it.

A remediation is about the site's configuration, never about one packet: it stays open until the configuration is
mended and a packet goes through, or until somebody resolves it.
"""

from __future__ import annotations

from enum import StrEnum


class MendedAt(StrEnum):
    """Where a person mends it; its page is linked."""

    DEVICE = "DEVICE"
    """At the device: its circuit, its sensor actions, its gateway."""
    MICROGRID = "MICROGRID"
    """At the depot's microgrid."""


class RemediationCode(StrEnum):
    """Why a sensor action has nowhere certain to write to. Nothing is written where one of these is the answer."""

    _value_: str
    what: str
    """What is wrong, in one sentence."""
    to_do: str
    """What mends it, in one or two sentences."""
    mended_at: MendedAt

    def __new__(cls, value: str, what: str, to_do: str, mended_at: MendedAt = MendedAt.DEVICE) -> RemediationCode:
        """Make the text that is the code, with its texts for people."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.what, made.to_do, made.mended_at = what, to_do, mended_at
        return made

    NO_POWER_SOURCE = (
        "NO_POWER_SOURCE",
        "The depot has no power source.",
        "Add the power source that the device measures, on the device's linked circuit.",
    )
    NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY = (
        "NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY",
        "The device's linked circuit has no power source, and the depot has no battery.",
        (
            "Put the power source that the device measures on the device's linked circuit, or link the device to the "
            "circuit of that power source."
        ),
    )
    NO_CIRCUIT_AND_NO_BATTERY = (
        "NO_CIRCUIT_AND_NO_BATTERY",
        "The device is linked to no circuit, and the depot has no battery.",
        "Link the device to the circuit of the power source that it measures.",
    )
    SEVERAL_POWER_SOURCES_ON_CIRCUIT = (
        "SEVERAL_POWER_SOURCES_ON_CIRCUIT",
        "The device's linked circuit has several power sources, and none of them is the depot's one battery.",
        (
            "Link the device to a circuit that has only the power source that it measures, or name that power source "
            "in the gateway's output_translation."
        ),
    )
    SEVERAL_BATTERIES = (
        "SEVERAL_BATTERIES",
        "The depot has several batteries, and the device's linked circuit does not identify one.",
        (
            "Link the device to the circuit of the battery that it measures, or name that battery in the gateway's "
            "output_translation."
        ),
    )
    OUTPUT_TRANSLATION_MALFORMED = (
        "OUTPUT_TRANSLATION_MALFORMED",
        "The gateway's output_translation is needed to find the power source, and is malformed.",
        (
            'Give it the form {"power_source_id": "<UUID>"}, or remove it and link the device to the circuit of the '
            "power source that it measures."
        ),
    )
    OUTPUT_TRANSLATION_NOT_IN_DEPOT = (
        "OUTPUT_TRANSLATION_NOT_IN_DEPOT",
        "The gateway's output_translation is needed to find the power source, and names none of this depot.",
        (
            "Name a power source of the depot, or remove the output_translation and link the device to the circuit of "
            "the power source that it measures."
        ),
    )
    DEVICE_WITHOUT_CIRCUIT = (
        "DEVICE_WITHOUT_CIRCUIT",
        "The device is to update the capacity of a circuit, and is linked to none.",
        "Link the device to the circuit whose capacity its controller sets.",
    )
    CIRCUIT_FOLLOWS_ANOTHER_DEVICE = (
        "CIRCUIT_FOLLOWS_ANOTHER_DEVICE",
        "The capacity of the device's linked circuit already follows another device.",
        "Remove Update Circuit Capacity from one of the two devices, or link one of them to another circuit.",
    )
    MICROGRID_NOT_PROVISIONED = (
        "MICROGRID_NOT_PROVISIONED",
        "The depot has no microgrid to show the status of.",
        "Add a top-level circuit to the depot, or run the backfill if the depot has one: the microgrid follows.",
        MendedAt.MICROGRID,
    )
