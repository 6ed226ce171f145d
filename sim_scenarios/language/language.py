"""The scenario language: what a preset file may say. Its JSON Schema is made from here."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from domain.base.texts import fault_of, is_blank
from sim_scenarios.language.expected import Expect, Part
from sim_scenarios.language.quantities import Duration, Kilowatts, Percent

NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"
MAX_BUSES = 2_000
"""In one scenario; the largest depots of the world have about as many."""
MAX_ENTRIES = 1_000
"""In one timeline."""

Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=60)]


def _line(text: str) -> str:
    # Whoever read the file has put its texts into their form; this one has no lines.
    if fault_of(text) is not None or is_blank(text):
        raise PydanticCustomError("text_not_allowed", "Must be a text of one line, and not blank.")
    return text


Text = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_line)]
Profile = Annotated[
    dict[Duration, Kilowatts],
    Field(min_length=1, max_length=500, description="kW at times since the start; straight lines between them."),
]


class GatewayIdentity(Part):
    """What the gateway says of itself."""

    manufacturer: Text = "Depot simulation"
    model: Text | None = Field(default=None, description="Left out: the controller's name.")
    serial_number: Text | None = Field(default=None, description="Left out: made from the scenario's name.")
    firmware: Text | None = Field(default=None, description="Left out: the controller's revision.")


class Grid(Part):
    """The grid connection."""

    import_limit_kw: Kilowatts
    export_limit_kw: Kilowatts = 0


class Charging(Part):
    """The circuit that the chargers hang on."""

    limit_kw: Kilowatts = Field(description="What the circuit carries: no more is ever available.")
    fail_safe_kw: Kilowatts = Field(description="What the chargers may draw when the controller is lost.")


class Load(Part):
    """Everything on the site that is neither a charger nor a source: workshops, washing, offices."""

    kw: Profile
    noise_percent: Annotated[float, Field(ge=0, le=50)] = 0


class Der(Part):
    """Distributed energy resources, such as solar panels: what they could give."""

    kw: Profile
    noise_percent: Annotated[float, Field(ge=0, le=50)] = 0
    limited_export_kw: Kilowatts = Field(default=0, description="Export while the limit of DER export is on.")


class Battery(Part):
    """The battery storage."""

    capacity_kwh: Annotated[float, Field(gt=0, le=1_000_000)]
    soc_percent: Percent = Field(description="State of charge at the start.")
    charge_kw: Kilowatts
    discharge_kw: Kilowatts
    efficiency_percent: Annotated[float, Field(ge=50, le=100)] = Field(default=95, description="Of each direction.")
    reserve_percent: Percent = Field(default=0, description="Automatic dispatch discharges no further.")


class PeakShaving(Part):
    """What the site may draw from the grid while peak shaving is on."""

    threshold_kw: Kilowatts


class Window(Part):
    """Times, drawn evenly by the seed."""

    from_: Duration = Field(alias="from")
    to: Duration

    @model_validator(mode="after")
    def _in_order(self) -> Window:
        if self.from_ > self.to:
            raise PydanticCustomError("contradiction", "Runs from the earlier time to the later one.")
        return self


class Energy(Part):
    """Energy, drawn evenly by the seed."""

    from_: Annotated[float, Field(alias="from", ge=0, le=10_000)]
    to: Annotated[float, Field(ge=0, le=10_000)]

    @model_validator(mode="after")
    def _in_order(self) -> Energy:
        if self.from_ > self.to:
            raise PydanticCustomError("contradiction", "Runs from the smaller number to the greater one.")
        return self


class Buses(Part):
    """Buses of one kind: when each is plugged in, when it pulls out, and what it needs."""

    count: Annotated[int, Field(ge=1, le=MAX_BUSES)]
    charger_kw: Annotated[float, Field(gt=0, le=5_000)]
    arrive: Window
    depart: Window
    energy_kwh: Energy


class Site(Part):
    """The simulated site. What is left out is not there, and the controller does not speak of it."""

    grid: Grid
    charging: Charging
    load: Load
    der: Der | None = None
    battery: Battery | None = None
    peak_shaving: PeakShaving | None = None
    buses: Annotated[list[Buses], Field(max_length=20)] = Field(default_factory=list)


class Settings(Part):
    """What can be changed while the scenario runs; what is left out stays as it was."""

    connected: bool | None = Field(default=None, description="Whether the gateway reaches the controller.")
    heartbeat: Literal["beating", "stopped", "bad"] | None = None
    automatic_dispatch: bool | None = None
    manual_charge: bool | None = None
    manual_discharge: bool | None = None
    peak_shaving: bool | None = None
    der_export_limit: bool | None = None
    battery_on: bool | None = None
    import_limit_kw: Kilowatts | None = Field(default=None, description="The grid operator changes what may be drawn.")
    fail_safe_kw: Kilowatts | None = None
    unavailable: list[str] | None = Field(default=None, description="The controller's inputs without a value.")


class Deliver(Part):
    """How packets travel from this step on, other than at once and once. Exactly one of these."""

    late_by: Duration | None = Field(default=None, description="This step's packets come so much later.")
    copies: Annotated[int, Field(ge=2, le=20)] | None = Field(default=None, description="Its packets come so often.")
    silent_for: Duration | None = Field(default=None, description="No packets are made for so long.")
    shuffle_for: Duration | None = Field(
        default=None, description="All packets of so long come with the last, in a mixed order."
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Deliver:
        if len(self.model_fields_set) != 1:
            raise PydanticCustomError("contradiction", "Has exactly one of its fields.")
        return self


class Entry(Part):
    """One thing that happens, or is expected, at a time."""

    at: Duration | None = None
    each: Duration | None = Field(default=None, description="Instead of at: every so long; for expectations only.")
    name: Text | None = None
    set: Settings | None = None
    deliver: Deliver | None = None
    expect: Expect | None = None

    @model_validator(mode="after")
    def _when(self) -> Entry:
        if (self.at is None) is (self.each is None):
            raise PydanticCustomError("contradiction", "Has either at or each.")
        if self.each is not None and (self.set is not None or self.deliver is not None):
            raise PydanticCustomError("contradiction", "An entry with each has expectations only.")
        return self


class ScenarioDocument(Part):
    """A scenario."""

    scenario: Name
    title: Text
    description: Annotated[str, Field(max_length=4_000)] = ""
    controller: Name = Field(description="The controller's revision: a table file, without its ending.")
    needs: list[Literal["controller", "meter"]] = Field(
        default_factory=lambda: ["controller"], description="The roles that a depot must have configured."
    )
    gateway: GatewayIdentity = Field(default_factory=GatewayIdentity)
    duration: Duration
    every: Duration = Field(description="The time between two steps: each makes its packets.")
    site: Site
    start: Settings = Field(default_factory=Settings, description="What holds at the start.")
    timeline: Annotated[list[Entry], Field(max_length=MAX_ENTRIES)] = Field(default_factory=list)


def scenario_schema() -> dict[str, Any]:
    """Make the JSON Schema (draft 2020-12) of a scenario file."""
    made = ScenarioDocument.model_json_schema(by_alias=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:depot-microgrid:scenario",
        **made,
        "title": "Depot simulation scenario",
    }
