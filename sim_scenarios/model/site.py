"""The power of the simulated site, from one step to the next: whole watts and joules, an exact balance.

Powers hold for the whole time until the next step. At the grid connection::

    grid = load + charging - solar used - battery        (positive: drawn from the grid)

where ``battery`` is positive while it gives. What holds in every step, and is tested as properties:

- the battery's energy stays between 0 and its capacity, and its powers within its limits;
- the available charging capacity is never negative, and never more than the charging circuit carries, nor than the
  grid connection, the sources and the battery can give beside the site's load;
- the grid connection's limits hold, that of export as well; DER is curtailed where it has nowhere to go.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class BatteryOrder(Enum):
    """The command to the battery."""

    STILL = "still"
    """Nothing: it is off, idle, or gets contradictory orders."""
    CHARGE = "charge"
    """With all that the connection has left."""
    DISCHARGE = "discharge"
    """With all that the site and the export take."""
    AUTOMATIC = "automatic"
    """Takes what the sources have left over; with peak shaving on, gives what the site needs above the threshold."""


@dataclass(frozen=True)
class BatteryLimits:
    """What a battery can."""

    capacity_j: int
    charge_w: int
    discharge_w: int
    efficiency_permille: int
    """Of each direction by itself."""
    reserve_j: int
    """Automatic dispatch leaves so much in it."""

    def can_take_w(self, stored_j: int, seconds: int) -> int:
        """Return the power that it can take for so many seconds."""
        room = self.capacity_j - stored_j
        return min(self.charge_w, room * 1000 // (self.efficiency_permille * seconds))

    def can_give_w(self, stored_j: int, seconds: int, *, reserve_j: int = 0) -> int:
        """Return the power that it can give for so many seconds."""
        above = max(0, stored_j - reserve_j)
        return min(self.discharge_w, above * self.efficiency_permille // (1000 * seconds))

    def after(self, stored_j: int, power_w: int, seconds: int) -> int:
        """Return what is stored after it gave ``power_w`` (negative: took) for so many seconds."""
        if power_w <= 0:
            return stored_j + -power_w * seconds * self.efficiency_permille // 1000
        # Rounded up: what is lost is never given.
        return stored_j - -(-power_w * seconds * 1000 // self.efficiency_permille)


@dataclass(frozen=True)
class Conditions:
    """What the site is confronted with, until the next step."""

    seconds: int
    load_w: int
    der_w: int
    """What distributed energy resources could give."""
    import_limit_w: int
    """What the grid connection carries inwards."""
    import_target_w: int
    """What may be drawn: the limit, or the threshold of peak shaving where that is on and smaller."""
    export_limit_w: int
    charging_limit_w: int
    order: BatteryOrder
    shaves: bool
    """Whether automatic dispatch discharges against peaks."""
    battery: BatteryLimits | None
    stored_j: int


@dataclass(frozen=True)
class Flows:
    """What flows until the next step, in W."""

    load_w: int
    charging_w: int
    der_w: int
    """What is used or exported of DER."""
    curtailed_w: int
    """What DER could have given beside that."""
    battery_w: int
    """Positive: it gives."""
    grid_w: int
    """Positive: drawn from the grid."""
    stored_j: int
    """In the battery at the end of it."""


def available_w(now: Conditions) -> int:
    """Return what is available for charging."""
    rest = now.import_target_w - now.load_w + now.der_w
    if now.order is BatteryOrder.CHARGE:
        rest -= min(_can_take_w(now), max(0, rest))
    return max(0, min(now.charging_limit_w, rest + _offer_w(now)))


def flow(now: Conditions, charging_w: int) -> Flows:
    """Balance the site while the chargers draw ``charging_w``."""
    battery_w = _battery_w(now, charging_w)
    wanted = now.load_w + charging_w - battery_w
    der_w = min(now.der_w, max(0, wanted + now.export_limit_w))
    stored_j = now.stored_j if now.battery is None else now.battery.after(now.stored_j, battery_w, now.seconds)
    return Flows(
        load_w=now.load_w,
        charging_w=charging_w,
        der_w=der_w,
        curtailed_w=now.der_w - der_w,
        battery_w=battery_w,
        grid_w=wanted - der_w,
        stored_j=stored_j,
    )


def _battery_w(now: Conditions, charging_w: int) -> int:
    used = now.load_w + charging_w
    if now.order is BatteryOrder.CHARGE:
        return -min(_can_take_w(now), max(0, now.import_target_w - used + now.der_w))
    if now.order is BatteryOrder.DISCHARGE:
        return min(_offer_w(now), used + now.export_limit_w)
    if now.order is BatteryOrder.AUTOMATIC:
        if used < now.der_w:
            return -min(_can_take_w(now), now.der_w - used)
        return min(_offer_w(now), max(0, used - now.der_w - now.import_target_w))
    return 0


def _offer_w(now: Conditions) -> int:
    """Return what the battery gives if the site needs it."""
    if now.battery is None:
        return 0
    if now.order is BatteryOrder.DISCHARGE:
        return now.battery.can_give_w(now.stored_j, now.seconds)
    if now.order is BatteryOrder.AUTOMATIC and now.shaves:
        return now.battery.can_give_w(now.stored_j, now.seconds, reserve_j=now.battery.reserve_j)
    return 0


def _can_take_w(now: Conditions) -> int:
    return 0 if now.battery is None else now.battery.can_take_w(now.stored_j, now.seconds)
