"""What stops an update although the packet is good, and what a person does about it.

A remediation is about the site's configuration, never about one packet: it stays open until the configuration is
mended and a packet goes through, or until somebody resolves it.
"""

from __future__ import annotations

from enum import StrEnum


class Severity(StrEnum):
    """What follows while a remediation stays open, the worst first."""

    _value_: str
    rank: int
    """The place in that order, from 1."""

    def __new__(cls, value: str, rank: int) -> Severity:
        """Make the text that names it, with its rank."""
        made = str.__new__(cls, value)
        made._value_, made.rank = value, rank
        return made

    HIGH = "HIGH", 1
    """What may be drawn on a circuit is not under its controller's control, or two controllers claim it."""
    MEDIUM = "MEDIUM", 2
    """What the controller reports for the whole site is not shown."""
    LOW = "LOW", 3
    """The readings of a power source are not kept; nothing is controlled by them."""


class Mend(StrEnum):
    """What a person does to mend it; pages offer the form for it, with its field ready."""

    LINK_DEVICE = "LINK_DEVICE"
    """Link the device to a circuit, or to another one."""
    ADD_POWER_SOURCE = "ADD_POWER_SOURCE"
    """Add a power source, on the device's linked circuit."""
    CHANGE_OUTPUT_TRANSLATION = "CHANGE_OUTPUT_TRANSLATION"
    """Name the power source in the gateway's ``output_translation``, or remove that."""
    REMOVE_ACTION = "REMOVE_ACTION"
    """Remove the sensor action from the device, or from the one that the circuit follows."""
    PROVISION = "PROVISION"
    """Give the depot its microgrid: by a top-level circuit, or by Resync or the backfill."""


class RemediationCode(StrEnum):
    """Why a sensor action has nowhere certain to write to. Nothing is written where one of these is the answer."""

    _value_: str
    what: str
    """What is wrong, in one sentence."""
    to_do: str
    """What mends it, in one or two sentences."""
    severity: Severity
    """What follows while it stays open."""
    mends: tuple[Mend, ...]
    """What mends it, in the order in which ``to_do`` says it."""

    def __new__(cls, value: str, what: str, to_do: str, severity: Severity, *mends: Mend) -> RemediationCode:
        """Make the text that is the code, with its texts for people."""
        made = str.__new__(cls, value)
        made._value_ = value
        made.what, made.to_do, made.severity, made.mends = what, to_do, severity, mends
        return made

    NO_POWER_SOURCE = (
        "NO_POWER_SOURCE",
        "The depot has no power source.",
        "Add the power source that the device measures, on the device's linked circuit.",
        Severity.LOW,
        Mend.ADD_POWER_SOURCE,
    )
    NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY = (
        "NO_POWER_SOURCE_ON_CIRCUIT_AND_NO_BATTERY",
        "The device's linked circuit has no power source, and the depot has no battery.",
        (
            "Put the power source that the device measures on the device's linked circuit, or link the device to the "
            "circuit of that power source."
        ),
        Severity.LOW,
        Mend.ADD_POWER_SOURCE,
        Mend.LINK_DEVICE,
    )
    NO_CIRCUIT_AND_NO_BATTERY = (
        "NO_CIRCUIT_AND_NO_BATTERY",
        "The device is linked to no circuit, and the depot has no battery.",
        "Link the device to the circuit of the power source that it measures.",
        Severity.LOW,
        Mend.LINK_DEVICE,
    )
    SEVERAL_POWER_SOURCES_ON_CIRCUIT = (
        "SEVERAL_POWER_SOURCES_ON_CIRCUIT",
        "The device's linked circuit has several power sources, and none of them is the depot's one battery.",
        (
            "Link the device to a circuit that has only the power source that it measures, or name that power source "
            "in the gateway's output_translation."
        ),
        Severity.LOW,
        Mend.LINK_DEVICE,
        Mend.CHANGE_OUTPUT_TRANSLATION,
    )
    SEVERAL_BATTERIES = (
        "SEVERAL_BATTERIES",
        "The depot has several batteries, and the device's linked circuit does not identify one.",
        (
            "Link the device to the circuit of the battery that it measures, or name that battery in the gateway's "
            "output_translation."
        ),
        Severity.LOW,
        Mend.LINK_DEVICE,
        Mend.CHANGE_OUTPUT_TRANSLATION,
    )
    OUTPUT_TRANSLATION_MALFORMED = (
        "OUTPUT_TRANSLATION_MALFORMED",
        "The gateway's output_translation is needed to find the power source, and is malformed.",
        (
            'Give it the form {"power_source_id": "<UUID>"}, or remove it and link the device to the circuit of the '
            "power source that it measures."
        ),
        Severity.LOW,
        Mend.CHANGE_OUTPUT_TRANSLATION,
        Mend.LINK_DEVICE,
    )
    OUTPUT_TRANSLATION_NOT_IN_DEPOT = (
        "OUTPUT_TRANSLATION_NOT_IN_DEPOT",
        "The gateway's output_translation is needed to find the power source, and names none of this depot.",
        (
            "Name a power source of the depot, or remove the output_translation and link the device to the circuit of "
            "the power source that it measures."
        ),
        Severity.LOW,
        Mend.CHANGE_OUTPUT_TRANSLATION,
        Mend.LINK_DEVICE,
    )
    DEVICE_WITHOUT_CIRCUIT = (
        "DEVICE_WITHOUT_CIRCUIT",
        "The device is to update the capacity of a circuit, and is linked to none.",
        "Link the device to the circuit whose capacity its controller sets.",
        Severity.HIGH,
        Mend.LINK_DEVICE,
    )
    CIRCUIT_FOLLOWS_ANOTHER_DEVICE = (
        "CIRCUIT_FOLLOWS_ANOTHER_DEVICE",
        "The capacity of the device's linked circuit already follows another device.",
        "Remove Update Circuit Capacity from one of the two devices, or link one of them to another circuit.",
        Severity.HIGH,
        Mend.REMOVE_ACTION,
        Mend.LINK_DEVICE,
    )
    MICROGRID_NOT_PROVISIONED = (
        "MICROGRID_NOT_PROVISIONED",
        "The depot has no microgrid to show the status of.",
        "Add a top-level circuit to the depot, or run the backfill if the depot has one: the microgrid follows.",
        Severity.MEDIUM,
        Mend.PROVISION,
    )
