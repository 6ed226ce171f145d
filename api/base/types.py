"""The types that routes share: ids with their description, clean texts, pages of lists."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from fastapi import Path, Query
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.base.bodies import once_each
from domain.base.names import (
    MAX_NAME_LENGTH,
    MAX_REGION_LENGTH,
    MAX_TAG_LENGTH,
    MAX_TAGS,
    clean_name,
    clean_region,
    clean_tags,
)
from domain.base.problems import Problem, ProblemCode
from domain.base.strict_json import is_storable
from domain.base.texts import fault_of, normal, why_not
from domain.base.times import BOUNDS, in_utc
from domain.base.timezones import check_timezone
from domain.site.circuits import MAX_POSITION, MAX_RATED_POWER_W

DepotId = Annotated[UUID, Path(description="The depot's id.")]
CircuitId = Annotated[UUID, Path(description="The circuit's id.")]
MicrogridId = Annotated[UUID, Path(description="The microgrid's own id.")]
BackfillId = Annotated[UUID, Path(description="The backfill's id.")]
ImportId = Annotated[UUID, Path(description="The import's id.")]
ExportId = Annotated[UUID, Path(description="The export's id.")]
GatewayId = Annotated[UUID, Path(description="The gateway's id.")]
DeviceId = Annotated[UUID, Path(description="The device's id.")]
PowerSourceId = Annotated[UUID, Path(description="The power source's id.")]
SensorActionId = Annotated[UUID, Path(description="The sensor action's id.")]
RunId = Annotated[UUID, Path(description="The scenario run's id.")]
RemediationId = Annotated[UUID, Path(description="The remediation's id.")]
BindingId = Annotated[UUID, Path(description="The controller binding's id, which is its sensor action's.")]
OfDepot = Annotated[UUID | None, Query(description="Of this depot alone.")]
LinkedCircuitId = Annotated[UUID | None, Field(description="A circuit of the same depot; null: none.")]

Name = Annotated[
    str,
    AfterValidator(clean_name),
    Field(
        description=f"1 to {MAX_NAME_LENGTH} characters after white space at the ends is removed.",
        json_schema_extra={"minLength": 1, "maxLength": MAX_NAME_LENGTH},
    ),
]
Timezone = Annotated[
    str,
    AfterValidator(check_timezone),
    Field(description="A name of the IANA time zone database.", examples=["America/Toronto"]),
]
Region = Annotated[
    str,
    AfterValidator(clean_region),
    Field(json_schema_extra={"minLength": 1, "maxLength": MAX_REGION_LENGTH}, examples=["Ontario"]),
]
Tags = Annotated[
    list[Annotated[str, Field(json_schema_extra={"minLength": 1, "maxLength": MAX_TAG_LENGTH, "pattern": "^[^,]*$"})]],
    AfterValidator(clean_tags),
    Field(json_schema_extra={"maxItems": MAX_TAGS}, examples=[["night shift", "north"]]),
]
Watts = Annotated[float, Field(gt=0, le=MAX_RATED_POWER_W, allow_inf_nan=False, description="Watts.")]
Position = Annotated[
    int, Field(ge=0, le=MAX_POSITION, description="The place among the siblings, from 0; beyond the end: last.")
]


def fit_text(value: str) -> str:
    """Return the one form of a text (see ``domain.base.texts``).

    Raises:
        PydanticCustomError: ``TEXT_NOT_ALLOWED``.

    """
    text = normal(value)
    fault = fault_of(text)
    if fault is not None:
        raise PydanticCustomError("TEXT_NOT_ALLOWED", "{reason}", {"reason": why_not(fault)})
    return text


def storable(value: str) -> str:
    """PostgreSQL stores neither NUL nor half a surrogate pair, so nothing can match them."""
    if not is_storable(value):
        raise ValueError("holds a character that no stored text has")
    return value


def _moment(value: datetime) -> datetime:
    moment = in_utc(value)
    if moment is None:
        raise PydanticCustomError("TIME_OUT_OF_RANGE", BOUNDS)
    return moment


Text = Annotated[str, AfterValidator(fit_text)]
"""Any text of one line, in its one form. How long it may be is the field's own matter."""
Moment = Annotated[
    AwareDatetime,
    AfterValidator(_moment),
    WithJsonSchema({"type": "string", "format": "date-time", "description": f"With an offset from UTC. {BOUNDS}"}),
]
"""Any time that comes from outside, in UTC: see ``domain.base.times``."""
AsOf = Annotated[
    Moment | None, Query(description="What the product showed at this moment, beside what is known of it today.")
]
Search = Annotated[Text | None, Query(max_length=MAX_NAME_LENGTH)]
Limit = Annotated[int, Query(ge=1, le=500, description="At most so many items.")]
Cursor = Annotated[str | None, Query(max_length=2_000, description="`next_cursor` of the page before.")]

ItemT = TypeVar("ItemT")
KeyT = TypeVar("KeyT")
RecordT = TypeVar("RecordT")


def left_out() -> Any:
    """Stand for a field that a change leaves out; null would be something else, and is refused where it is none."""
    return None


class Body(BaseModel):
    """A request body. Unknown fields are refused: a misspelt one must not be silently without effect."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _once_each(cls, given: Any) -> Any:
        return once_each(given)

    def given(self) -> dict[str, Any]:
        """Return the fields that the caller gave; one that is null was given, one that is left out was not."""
        return self.model_dump(include=self.model_fields_set)


def cut_page(
    found: Sequence[RecordT], limit: int, key: Callable[[RecordT], object]
) -> tuple[list[RecordT], str | None]:
    """Make a page of ``limit`` items and its cursor, of one more than that where there are more."""
    items = list(found[:limit])
    return items, encode_cursor(key(items[-1])) if len(found) > limit else None


def decode_id(cursor: str | None) -> UUID | None:
    """Read the cursor of a list that is sorted by id.

    Raises:
        Problem: ``INVALID_CURSOR``.

    """
    key = decode_cursor(cursor, tuple[UUID])
    return None if key is None else key[0]


def encode_cursor(*key: object) -> str:
    """Make an opaque cursor of the last item's sort key."""
    return base64.urlsafe_b64encode(json.dumps(key, default=str).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, kind: type[KeyT]) -> KeyT | None:
    """Read a cursor back as a ``kind``.

    Raises:
        Problem: ``INVALID_CURSOR``.

    """
    if cursor is None:
        return None
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        key = TypeAdapter(kind).validate_json(storable(text))
        for part in key if isinstance(key, tuple) else ():
            if isinstance(part, str):
                storable(part)
            elif isinstance(part, int) and not -(2**63) <= part < 2**63:
                raise ValueError("is a number that no row has")
    except (ValueError, ValidationError) as error:
        raise Problem(ProblemCode.INVALID_CURSOR, "This cursor did not come from this list.", "cursor") from error
    return key
