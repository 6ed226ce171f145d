"""Who sent a message, by its topic, and where it may be answered."""

from __future__ import annotations

from uuid import UUID

import pytest

from telemetry.topics import Topics

GATEWAY = UUID("018f4e6c-aaaa-7000-8000-000000000001")


@pytest.mark.parametrize(
    ("filter_", "topic", "sender"),
    [
        ("manage/packets/#", "manage/packets/gw-7", "gw-7"),
        ("manage/packets/#", "manage/packets/gw-7/meter/1", "gw-7"),
        ("manage/packets/#", "manage/packets", None),
        ("manage/packets/#", "manage/packets/", None),
        ("manage/packets/#", "manage/packets//gw-7", None),
        ("$share/manage/manage/packets/#", "manage/packets/gw-7", "gw-7"),
        ("manage/+/packets", "manage/gw-7/packets", "gw-7"),
        ("#", "gw-7/packets", "gw-7"),
        ("manage/packets", "manage/packets", None),
    ],
)
def test_the_sender_stands_where_the_filter_has_its_first_wildcard(
    filter_: str, topic: str, sender: str | None
) -> None:
    assert Topics(filter_, "manage/answers").sender(topic) == sender


@pytest.mark.parametrize(
    ("sender", "may"),
    [
        (str(GATEWAY), True), (str(GATEWAY).upper(), True), (GATEWAY.hex, False), ("gw-7", False), (None, False),
        (f"{{{GATEWAY}}}", False), (f"{GATEWAY} ", False), ("", False),
    ],
)  # fmt: skip
def test_a_sender_that_is_a_gateway_carries_its_own_packets_alone(sender: str | None, may: bool) -> None:
    assert Topics("manage/packets/#", "manage/answers", sender_is_gateway=True).may_carry(sender, GATEWAY) is may
    assert Topics("manage/packets/#", "manage/answers").may_carry(sender, GATEWAY)


@pytest.mark.parametrize(
    ("sender", "topic", "may"),
    [
        ("gw-7", "manage/answers/gw-7", True),
        ("gw-7", "manage/answers/gw-7/meter", True),
        ("gw-7", "manage/answers/gw-77", False),
        ("gw-7", "manage/answers/gw-8", False),
        ("gw-7", "manage/answers", False),
        ("gw-7", "manage/packets/gw-7", False),
        ("gw-7", "/manage/answers/gw-7", False),
        ("gw-7", "manage/answers//gw-7", False),
        ("gw-7", "$SYS/manage/answers/gw-7", False),
        (None, "manage/answers/None", False),
        (None, "manage/answers/", False),
    ],
)
def test_answers_go_to_the_senders_own_topics_alone(sender: str | None, topic: str, may: bool) -> None:
    for answers in ("manage/answers", "manage/answers/"):
        assert Topics("manage/packets/#", answers).may_be_answered_on(sender, topic) is may


@pytest.mark.parametrize(
    ("filter_", "answers", "setting"),
    [
        ("manage/packets", "manage/answers", "MANAGE_MQTT_SENDER_IS_GATEWAY"),
        ("$share/manage/packets", "manage/answers", "MANAGE_MQTT_SENDER_IS_GATEWAY"),
        ("manage/packets/#", "", "MANAGE_MQTT_ANSWERS"),
        ("manage/packets/#", "/", "MANAGE_MQTT_ANSWERS"),
        ("manage/packets/#", "manage/+/answers", "MANAGE_MQTT_ANSWERS"),
    ],
)
def test_topics_that_cannot_be_are_refused_at_the_start(filter_: str, answers: str, setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        Topics(filter_, answers, sender_is_gateway=True)
