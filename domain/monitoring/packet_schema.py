"""The packet contract as a JSON Schema, made of the same bounds as the parser in ``domain.monitoring.packets``.

Tests hold the two equal. What a schema cannot say, the parser alone finds: ``BEYOND_THE_SCHEMA``.
"""

from __future__ import annotations

from typing import Any

from domain.base.names import MAX_ID_LENGTH, UUID_PATTERN
from domain.base.strict_json import MAX_NUMBER, JsonCode
from domain.monitoring.packets import (
    IDENTITY_KEYS,
    MAX_KEY_LENGTH,
    MAX_MEASURANDS,
    MAX_SENSORS,
    MAX_TEXT_LENGTH,
    MAX_TIMESTAMP_MS,
    MAX_UNIT_LENGTH,
    PacketCode,
)

BEYOND_THE_SCHEMA = frozenset(
    {
        JsonCode.DOCUMENT_TOO_LONG,
        JsonCode.REPEATED_KEY,
        JsonCode.TOO_DEEP,
        JsonCode.NUMBER_TOO_LONG,
        JsonCode.NUMBER_TOO_SMALL,
        JsonCode.NUMBER_NOT_EXACT,
        JsonCode.UNSTORABLE_TEXT,
        PacketCode.TEXT_NOT_ALLOWED,
        PacketCode.REPEATED_SENSOR,
        PacketCode.REPEATED_MEASURAND,
        PacketCode.TIMESTAMP_IN_FUTURE,
        PacketCode.TIMESTAMP_TOO_OLD,
    }
)
"""The rules that a packet can break although the schema accepts it."""

_ANYTHING = {"$ref": "#/$defs/anything"}


def _text(maximum: int, description: str, *, minimum: int = 0, null: bool = False) -> dict[str, Any]:
    made: dict[str, Any] = {"type": ["string", "null"] if null else "string"}
    if minimum:
        made["minLength"] = minimum
    return made | {"maxLength": maximum, "description": description}


def _object(description: str, required: list[str], properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": _ANYTHING,
    }


def packet_schema() -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of one packet."""
    number = {"type": "number", "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
    identity = {
        name: _text(MAX_TEXT_LENGTH, f"The gateway's {name.replace('_', ' ')}, where it is known.", null=True)
        for name in IDENTITY_KEYS
    }
    properties = {
        "device_id": {
            "type": "string",
            "pattern": UUID_PATTERN,
            "maxLength": 36,
            "description": "The gateway device, as Manage knows it.",
        },
        "timestamp": {
            "type": "integer",
            "minimum": 0,
            "maximum": MAX_TIMESTAMP_MS,
            "description": "When it was measured: milliseconds since the Unix epoch, UTC.",
        },
        **identity,
        "sensors": {"type": "array", "maxItems": MAX_SENSORS, "items": {"$ref": "#/$defs/sensor"}},
    }
    sensor = {
        "sensor_id": _text(MAX_ID_LENGTH, "The sensor's id within the gateway.", minimum=1),
        "measurands": {"type": "array", "maxItems": MAX_MEASURANDS, "items": {"$ref": "#/$defs/measurand"}},
    }
    measurand = {
        "key": _text(MAX_KEY_LENGTH, "A standard key, or one that no sensor action uses.", minimum=1),
        "value": {
            "description": "A number in the unit, or a text; null where the value is unavailable or invalid.",
            "anyOf": [number, {"type": "string", "maxLength": MAX_TEXT_LENGTH}, {"type": "null"}],
        },
        "unit": _text(MAX_UNIT_LENGTH, "The unit; null where the quantity has none.", null=True),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:depot-microgrid:iot-sensor-packet",
        "title": "IoT sensor packet",
        **_object("What a gateway or the depot simulation sends.", ["device_id", "timestamp", "sensors"], properties),
        "$defs": {
            "sensor": _object("One sensor of the gateway.", ["sensor_id", "measurands"], sensor),
            "measurand": _object("One quantity.", ["key", "value", "unit"], measurand),
            "anything": {
                "description": "Whatever an unknown key holds: kept with the packet, used by nothing.",
                "anyOf": [
                    {"type": ["null", "boolean", "string"]},
                    number,
                    {"type": "array", "items": _ANYTHING},
                    {"type": "object", "additionalProperties": _ANYTHING},
                ],
            },
        },
    }
