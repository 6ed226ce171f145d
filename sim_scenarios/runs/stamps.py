"""From virtual to real time: when a step is due, and which timestamp its packets have.

``docs/decisions/0012-packets-are-stamped-when-they-are-sent.md`` says why. In short: a packet's timestamp is the real
time at which the step that measured it was sent. So a controller's packet is fresh at every time scale, order and
repetition are as the scenario says, and neither shows in the evidence, which has virtual times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sim_scenarios.runs.steps import Step


def due_ms(step: Step, previous: Step | None, stamps: Sequence[int], time_scale: float) -> int | None:
    """Return the real time, in milliseconds since the epoch, before which a step must not be sent; None: at once.

    Args:
        step: The step.
        previous: The one before it; None for the first.
        stamps: Those of all steps before it.
        time_scale: Real seconds a virtual second: 0 for as fast as possible, 1 for real time.

    """
    if previous is None:
        return None
    waits = [stamps[previous.index] + round((step.offset_ms - previous.offset_ms) * time_scale)] if time_scale else []
    if step.gap is not None:
        waits.append(stamps[step.gap.after_step] + step.gap.milliseconds)
    return max(waits, default=None)


def next_stamp(now_ms: int, stamps: Sequence[int]) -> int:
    """Return the stamp of the next step: now, and later than all before, whatever the clock does.

    A step that is tried again, because its packets did not come, gets a new stamp; only the last one is kept.
    """
    return max(now_ms, stamps[-1] + 1) if stamps else now_ms


def documents(step: Step, stamps: Sequence[int]) -> list[dict[str, Any]]:
    """Return a step's packets as they are sent.

    Args:
        step: The step.
        stamps: Those of all steps up to this one, itself included.

    """
    return [
        {"device_id": str(packet.gateway_id), "timestamp": stamps[packet.measured_step], **packet.body}
        for packet in step.packets
    ]


def is_of_run(observed_ms: int | None, stamps: Sequence[int]) -> bool:
    """Say whether a state that was observed then comes from this run; what is older is history of the depot."""
    return observed_ms is not None and bool(stamps) and observed_ms >= stamps[0]
