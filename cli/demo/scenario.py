"""The scenario of a demo depot: days without an incident, or with one each hour, from whatever hour it is there."""

from __future__ import annotations

import json
from typing import Any

DAY = 24 * 3600
_HOUR = 3600
_LOAD_KW = {0: 80, 5: 90, 6: 170, 12: 200, 18: 190, 22: 110}
"""By the hour of the depot's own day; straight lines between them."""
_SUN_KW = {0: 0, 6: 0, 9: 180, 12: 420, 15: 330, 19: 0}
_EXPORT_LIMITED = (12, 15)
"""The hours at which the export limit is switched on and off."""
_LEAVE = (5, 8)
"""The hours between which buses leave."""
_RETURN = (17, 20)
_SILENT_SECONDS = 300
_FIRST_SILENCE = 120
"""Seconds until the first silence; each hour has one."""


def demo_scenario(
    name: str, seconds: int, *, days: int = 1, every: int = 20, scale_percent: int = 100, silent_each_hour: bool = False
) -> str:
    """Write the scenario.

    Args:
        name: Its name.
        seconds: Of the depot's own day, when it begins.
        days: So many, one after the other.
        every: Seconds between two packets.
        scale_percent: The size of the depot's loads.
        silent_each_hour: The controller sends nothing for five minutes of each hour.

    """
    span = days * DAY
    limited_at_start = _EXPORT_LIMITED[0] * _HOUR <= seconds < _EXPORT_LIMITED[1] * _HOUR
    timeline: list[dict[str, Any]] = [{"at": "0s", "expect": {"sent": {"HEARTBEAT_STATUS": "ok"}}}]
    timeline += [
        {"at": f"{at // every * every}s", "set": {"der_export_limit": limited}}
        for hour, limited in zip(_EXPORT_LIMITED, (True, False), strict=True)
        for at in range((hour * _HOUR - seconds) % DAY, span, DAY)
    ]
    if silent_each_hour:
        silent = {"silent_for": f"{_SILENT_SECONDS}s"}
        timeline += [
            {"at": f"{at}s", "name": "The controller falls silent", "deliver": silent}
            for at in range(_FIRST_SILENCE, span, _HOUR)
        ]
    document: dict[str, Any] = {
        "scenario": name,
        "title": f"The last {days} days" if days > 1 else "A day in real time",
        "description": "Buses leave in the morning and come back in the evening, the sun shines in between.",
        "controller": "bba-1",
        "needs": ["controller", "meter"],
        "duration": f"{span}s",
        "every": f"{every}s",
        "site": {
            "grid": {"import_limit_kw": 1500, "export_limit_kw": 300},
            "charging": {"limit_kw": 1200, "fail_safe_kw": 200},
            "load": {"kw": _curve(_LOAD_KW, seconds, days, scale_percent), "noise_percent": 3},
            "der": {"kw": _curve(_SUN_KW, seconds, days, scale_percent), "noise_percent": 5, "limited_export_kw": 50},
            "battery": {
                "capacity_kwh": 1000, "soc_percent": 50, "charge_kw": 250, "discharge_kw": 250, "reserve_percent": 15,
            },
            "peak_shaving": {"threshold_kw": 900},
            "buses": _buses(seconds, days, scale_percent),
        },
        "start": {"peak_shaving": True, "der_export_limit": limited_at_start},
        "timeline": timeline,
    }  # fmt: skip
    # JSON is YAML too.
    return json.dumps(document, indent=1)


def _curve(by_hour: dict[int, int], seconds: int, days: int, scale_percent: int) -> dict[str, float]:
    """A day's curve, day after day, from this second of the first one on."""
    points = {hour * _HOUR: kw * scale_percent / 100 for hour, kw in by_hour.items()}
    now = round(_between(points, seconds), 1)
    made = {(at - seconds) % DAY + day * DAY: kw for at, kw in points.items() for day in range(days)}
    made |= {0: now, days * DAY: now}
    return {f"{at}s": made[at] for at in sorted(made)}


def _between(points: dict[int, float], at: int) -> float:
    """The value of a curve that closes with the day."""
    closed = points | {DAY: points[0]}
    before = max(each for each in closed if each <= at)
    after = min((each for each in closed if each > at), default=DAY)
    if after == before:
        return closed[before]
    return closed[before] + (closed[after] - closed[before]) * (at - before) / (after - before)


def _buses(seconds: int, days: int, scale_percent: int) -> list[dict[str, Any]]:
    """The buses that are there at the beginning, and those that come back each evening."""
    bus = {"count": max(1, 40 * scale_percent // 100), "charger_kw": 60}
    made = [
        {
            **bus,
            "arrive": _window(_RETURN, seconds - day * DAY),
            "depart": _window(_LEAVE, seconds - (day + 1) * DAY),
            "energy_kwh": {"from": 100, "to": 220},
        }
        for day in range(days)
    ]
    leave = _window(_LEAVE, seconds)
    left = _LEAVE[1] * _HOUR - seconds
    if left > 0:
        # They came back last evening: the later it is, the less is missing.
        missing = max(2, 150 * left // (_LEAVE[1] * _HOUR) // 3)
        there = {**bus, "arrive": {"from": "0s", "to": "0s"}, "depart": leave}
        made.insert(0, {**there, "energy_kwh": {"from": 1, "to": missing}})
    return made


def _window(hours: tuple[int, int], seconds: int) -> dict[str, str]:
    """From an hour to another, as seconds of the run; what is over is at its start. A scenario knows no later time."""
    start, end = (min(max(0, hour * _HOUR - seconds), 7 * DAY) for hour in hours)
    return {"from": f"{start}s", "to": f"{end}s"}
