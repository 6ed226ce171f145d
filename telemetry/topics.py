"""Topics: who sent a message, whose packets it may carry, and where it may be answered.

The broker knows its accounts and holds each to its own topics. So the level at which the filter's first wildcard stands
is the sender: of ``manage/packets/gw-7/meter``, under the filter ``manage/packets/#``, it is ``gw-7``.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from telemetry.broker import SHARED

_WILDCARDS = ("#", "+")


@dataclass(frozen=True)
class Topics:
    """What is read, and what the levels mean.

    Raises:
        ValueError: the filter has no level for the sender, or answers have no topic of their own.

    """

    filter: str
    """The filter that packets are read by, as the broker takes it."""
    answers: str
    """Answers go to this topic with the sender's level behind it, and below."""
    sender_is_gateway: bool = False
    """Whether the sender's level is the id of the gateway that its packets are of."""

    def __post_init__(self) -> None:
        if not self.answers.strip("/") or any(wildcard in self.answers for wildcard in _WILDCARDS):
            raise ValueError("MANAGE_MQTT_ANSWERS is a topic without wildcards, such as manage/answers.")
        if self.sender_is_gateway and self._place is None:
            raise ValueError(
                "MANAGE_MQTT_SENDER_IS_GATEWAY needs a level for the sender in MANAGE_MQTT_TOPIC, "
                "as in manage/packets/#."
            )

    @property
    def _levels(self) -> list[str]:
        levels = self.filter.split("/")
        return levels[2:] if self.filter.startswith(SHARED) else levels

    @property
    def _place(self) -> int | None:
        return next((place for place, level in enumerate(self._levels) if level in _WILDCARDS), None)

    @property
    def unshared(self) -> str:
        """The filter itself, where it is read by several at once."""
        return "/".join(self._levels)

    def packets_of(self, sender: str) -> str:
        """The topic that this sender publishes packets to, or below."""
        return "/".join((*self._levels[: self._place], sender))

    def answers_of(self, sender: str) -> str:
        """The topic that this sender is answered on, or below."""
        return f"{self.answers.rstrip('/')}/{sender}"

    def sender(self, topic: str) -> str | None:
        """Who sent a message, by its topic; None where the topic does not say."""
        place = self._place
        levels = topic.split("/")
        return levels[place] or None if place is not None and place < len(levels) else None

    def may_carry(self, sender: str | None, gateway_id: UUID) -> bool:
        """Whether a message of this sender may carry packets of a gateway."""
        return not self.sender_is_gateway or (sender is not None and sender.lower() == str(gateway_id))

    def may_be_answered_on(self, sender: str | None, topic: str) -> bool:
        """Whether a message of this sender may be answered there: on its own topic, or below."""
        if sender is None:
            return False
        own = self.answers_of(sender)
        return topic == own or topic.startswith(f"{own}/")
