"""How far a depot is set up follows from what is stored of it, step by step."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from domain.provisioning.set_up import SetUpFacts, SetUpStep, set_up_of

ONE = UUID(int=1)
IN_ORDER = (
    (SetUpStep.CIRCUITS, {"has_circuits": True}),
    (SetUpStep.MICROGRID, {"has_microgrid": True}),
    (SetUpStep.GATEWAY, {"has_gateway": True, "without_secret": ONE}),
    (SetUpStep.GATEWAY_SECRET, {"without_secret": None}),
    (SetUpStep.DEVICES, {"device_id": ONE}),
    (SetUpStep.SENSOR_ACTIONS, {"acting_device_id": ONE}),
    (SetUpStep.FIRST_PACKET, {"was_heard": True}),
)


def test_each_fact_does_its_step_and_the_next_one_follows() -> None:
    facts = SetUpFacts()
    for step, given in IN_ORDER:
        before = set_up_of(facts, needs_secrets=True)
        assert before.next_step is step
        assert not before.done[step]
        facts = replace(facts, **given)
        assert set_up_of(facts, needs_secrets=True).done[step]
    assert set_up_of(facts, needs_secrets=True).next_step is None


def test_the_steps_stand_in_their_order() -> None:
    assert list(set_up_of(SetUpFacts(), needs_secrets=True).done) == list(SetUpStep)


def test_no_secret_is_asked_for_where_none_is_needed() -> None:
    facts = SetUpFacts(has_circuits=True, has_microgrid=True, has_gateway=True, without_secret=ONE)
    found = set_up_of(facts, needs_secrets=False)
    assert SetUpStep.GATEWAY_SECRET not in found.done
    assert found.next_step is SetUpStep.DEVICES


def test_an_earlier_step_that_is_taken_away_comes_next_again() -> None:
    facts = SetUpFacts(True, True, True, None, ONE, ONE, has_binding=True, was_heard=True)
    assert set_up_of(facts, needs_secrets=True).next_step is None
    assert set_up_of(replace(facts, has_circuits=False), needs_secrets=True).next_step is SetUpStep.CIRCUITS
