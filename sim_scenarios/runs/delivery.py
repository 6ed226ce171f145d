"""When packets arrive: late, often, not at all, or in a mixed order."""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_scenarios.model.random_source import RandomSource
from sim_scenarios.runs.scenario import Scenario


@dataclass
class DeliveryPlan:
    """Which step delivers what. Steps are identified by their index."""

    silent: set[int] = field(default_factory=set[int])
    """Steps whose packets are never made."""
    arrives: dict[int, int] = field(default_factory=dict[int, int])
    """The step that delivers the packets of a step, where that is another."""
    copies: dict[int, int] = field(default_factory=dict[int, int])
    """How often the packets of a step are delivered, where that is more than once."""
    mixed: dict[int, list[int]] = field(default_factory=dict[int, list[int]])
    """The steps whose packets a step delivers together, in the order of delivery."""

    def delivered_at(self, index: int) -> list[int]:
        """Return the steps whose packets arrive at a step, in their order: what is late comes last."""
        if index in self.mixed:
            own = self.mixed[index]
        else:
            own = [] if index in self.silent or self.arrives.get(index, index) != index else [index]
        late = [measured for measured, at in self.arrives.items() if at == index and measured not in own]
        return own + sorted(measured for measured in late if measured not in self.silent)


def plan_delivery(scenario: Scenario, seed: int) -> DeliveryPlan:
    """Make the plan; where two entries speak of one packet, the later entry holds, and silence wins."""
    plan, every = DeliveryPlan(), scenario.model.every
    for entry in scenario.model.timeline:
        if entry.deliver is None or entry.at is None:
            continue
        first, deliver = entry.at // every, entry.deliver
        if deliver.late_by is not None:
            plan.arrives[first] = first + deliver.late_by // every
        if deliver.copies is not None:
            plan.copies[first] = deliver.copies
        if deliver.silent_for is not None:
            plan.silent |= set(range(first, first + deliver.silent_for // every))
        if deliver.shuffle_for is not None:
            together = list(range(first, first + deliver.shuffle_for // every))
            plan.arrives |= dict.fromkeys(together, together[-1])
            plan.mixed[together[-1]] = RandomSource(scenario.name, seed, "shuffle", first).shuffled(together)
    for last, together in plan.mixed.items():
        plan.mixed[last] = [index for index in together if index not in plan.silent and plan.arrives[index] == last]
    return plan
