"""What a device's controller can say at all, by its revision's table; None is a device of which nothing is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum

from domain.controllers.controller_translation import ControllerTable
from domain.monitoring.capabilities import CAPABILITY_MEASURANDS
from domain.site.measurands import MeasurandKey

ControllerTables = Mapping[str, ControllerTable]
"""The tables by the names by which devices carry them, such as ``bba-1``."""


class SupportCode(StrEnum):
    """What is wrong between a device's controller and what is asked of the device."""

    UNSUPPORTED_BY_REVISION = "UNSUPPORTED_BY_REVISION"
    """The table of the device's controller lacks the measurand of a capability, so it can never come."""


def unsupported(
    tables: ControllerTables, controller: str | None, measurands: Iterable[MeasurandKey]
) -> tuple[MeasurandKey, ...]:
    """Return those capabilities' measurands that the device's controller cannot send, in their order.

    Other measurands may come from elsewhere in the device, and a table that is no longer shipped says nothing.
    """
    table = None if controller is None else tables.get(controller)
    if table is None:
        return ()
    return tuple(key for key in measurands if key in CAPABILITY_MEASURANDS and key not in table.rules)
