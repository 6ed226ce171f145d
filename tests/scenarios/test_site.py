"""The simulated site's physics, as properties: whatever it is confronted with, energy is conserved and limits hold."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from sim_scenarios.model.buses import Bus, Fleet
from sim_scenarios.model.profiles import curve
from sim_scenarios.model.random_source import RandomSource
from sim_scenarios.model.site import BatteryLimits, BatteryOrder, Conditions, available_w, flow
from sim_scenarios.runs.delivery import plan_delivery
from sim_scenarios.runs.scenario import Scenario
from sim_scenarios.runs.simulation import simulate
from tests.scenarios.samples import good, small

POWER = st.integers(0, 5_000_000)


@st.composite
def batteries(draw: st.DrawFn) -> BatteryLimits:
    capacity = draw(st.integers(1, 10_000_000_000))
    efficiency, reserve = draw(st.integers(500, 1000)), draw(st.integers(0, capacity))
    return BatteryLimits(capacity, draw(POWER), draw(POWER), efficiency, reserve)


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    """Anything that a valid scenario can bring about."""
    limit = draw(POWER)
    battery = draw(st.none() | batteries())
    return Conditions(
        seconds=draw(st.integers(1, 3600)),
        load_w=draw(st.integers(0, limit)),
        der_w=draw(POWER),
        import_limit_w=limit,
        import_target_w=draw(st.integers(0, limit)),
        export_limit_w=draw(POWER),
        charging_limit_w=draw(POWER),
        order=draw(st.sampled_from(BatteryOrder)),
        shaves=draw(st.booleans()),
        battery=battery,
        stored_j=0 if battery is None else draw(st.integers(0, battery.capacity_j)),
    )


@given(conditions())
def test_what_is_available_is_never_negative_and_never_beyond_the_limits(now: Conditions) -> None:
    available = available_w(now)
    assert 0 <= available <= now.charging_limit_w
    gives = 0 if now.battery is None else now.battery.can_give_w(now.stored_j, now.seconds)
    assert available <= max(0, now.import_target_w - now.load_w + now.der_w + gives)


@given(conditions(), st.fractions(0, 1))
def test_the_site_balances_within_its_limits_whatever_the_chargers_draw(now: Conditions, share: Fraction) -> None:
    flows = flow(now, int(available_w(now) * share))
    assert flows.grid_w == flows.load_w + flows.charging_w - flows.der_w - flows.battery_w
    assert -now.export_limit_w <= flows.grid_w <= now.import_limit_w
    assert flows.der_w + flows.curtailed_w == now.der_w
    assert min(flows.der_w, flows.curtailed_w) >= 0


@given(conditions())
def test_what_is_available_can_be_drawn_without_breaking_the_target_or_nothing_is(now: Conditions) -> None:
    available = available_w(now)
    assert available == 0 or flow(now, available).grid_w <= now.import_target_w


@given(conditions(), POWER)
def test_the_fail_safe_capacity_is_within_the_grid_connection_too(now: Conditions, fail_safe: int) -> None:
    charging = min(fail_safe, now.import_limit_w - now.load_w)
    assert flow(now, charging).grid_w <= now.import_limit_w


@given(conditions(), st.fractions(0, 1))
def test_the_battery_keeps_to_its_limits_and_its_energy_is_accounted_for(now: Conditions, share: Fraction) -> None:
    flows = flow(now, int(available_w(now) * share))
    if now.battery is None:
        assert (flows.battery_w, flows.stored_j) == (0, 0)
        return
    assert -now.battery.charge_w <= flows.battery_w <= now.battery.discharge_w
    assert 0 <= flows.stored_j <= now.battery.capacity_j
    efficiency = Fraction(now.battery.efficiency_permille, 1000)
    moved = flows.battery_w * now.seconds
    exact = -moved * efficiency if moved <= 0 else -moved / efficiency
    # Rounded to the joule, and never in favour of the battery.
    assert exact - 1 < flows.stored_j - now.stored_j <= exact


@given(conditions())
def test_peak_shaving_holds_the_threshold_as_long_as_the_battery_can(now: Conditions) -> None:
    now = replace(now, order=BatteryOrder.AUTOMATIC, shaves=True)
    flows = flow(now, 0)
    can = (
        0 if now.battery is None else now.battery.can_give_w(now.stored_j, now.seconds, reserve_j=now.battery.reserve_j)
    )
    above = max(0, now.load_w - now.der_w - now.import_target_w)
    assert max(0, flows.battery_w) == min(above, can)
    assert flows.grid_w <= now.import_target_w or flows.battery_w == can


@given(conditions())
def test_der_is_curtailed_only_where_the_export_is_at_its_limit(now: Conditions) -> None:
    flows = flow(now, 0)
    assert flows.curtailed_w == 0 or flows.grid_w == -now.export_limit_w


BUSES = st.lists(st.builds(Bus, st.just(0), st.integers(1, 10**7), POWER, st.integers(0, 10**10)), max_size=30)


@given(BUSES, st.fractions(0, 1), st.integers(1, 3600))
def test_buses_get_what_is_shared_out_and_none_more_than_it_asks_for(
    buses: list[Bus], share: Fraction, seconds: int
) -> None:
    before = [(bus.missing_j, bus.charger_w) for bus in buses]
    fleet = Fleet(list(buses))
    power = int(fleet.demand_w(0, seconds) * share)
    fleet.charge(power, seconds)
    got = [was - bus.missing_j for (was, _), bus in zip(before, buses, strict=True)]
    assert sum(got) == power * seconds
    for bus, joules, (_, charger) in zip(buses, got, before, strict=True):
        assert 0 <= joules <= charger * seconds
        assert bus.missing_j >= 0


def test_a_bus_that_pulls_out_too_early_is_counted_once() -> None:
    fleet = Fleet([Bus(0, 60_000, 10_000, 10**9), Bus(0, 60_000, 10_000, 0)])
    assert [fleet.demand_w(at, 60) for at in (0, 59_999, 60_000, 120_000)] == [10_000, 10_000, 0, 0]
    assert fleet.left_short == 1


def test_a_curve_runs_straight_between_its_points() -> None:
    found = curve({0: 10.0, 10_000: 20.0}, 0)
    assert [found.at(at, RandomSource("x")) for at in (0, 2_500, 10_000, 99_000)] == [10_000, 12_500, 20_000, 20_000]
    assert curve({5_000: 1.0}, 0).at(0, RandomSource("x")) == 1_000


@given(st.integers(0, 86_400_000), st.integers(), st.integers(0, 50))
def test_noise_stays_within_its_bound(at: int, seed: int, percent: int) -> None:
    noisy = curve({0: 100.0}, percent)
    power = noisy.at(at, RandomSource(seed))
    assert 100_000 * (100 - percent) <= power * 100 <= noisy.highest_w * 100


SITES = st.fixed_dictionaries(
    {
        "load": st.integers(0, 700),
        "der": st.integers(0, 900),
        "soc": st.integers(0, 100),
        "capacity": st.integers(1, 300),
        "power": st.integers(0, 600),
    }
)
SWITCHES = (
    "automatic_dispatch",
    "manual_charge",
    "manual_discharge",
    "peak_shaving",
    "der_export_limit",
    "battery_on",
    "connected",
)
CHANGES = st.lists(
    st.dictionaries(
        st.sampled_from(SWITCHES),
        st.booleans(),
        min_size=1,
    ),
    max_size=6,
)


@given(SITES, CHANGES, st.integers(0, 5))
def test_a_whole_scenario_keeps_the_state_of_charge_and_every_limit(
    site: dict[str, int], changes: list[dict[str, bool]], seed: int
) -> None:
    document = small(timeline=[{"at": f"{minute}m", "set": each} for minute, each in enumerate(changes)])
    document["site"] |= {
        "load": {"kw": {"0s": site["load"], "10m": 300}, "noise_percent": 5},
        "der": {"kw": {"0s": site["der"]}, "noise_percent": 5, "limited_export_kw": 10},
        "battery": {
            "capacity_kwh": site["capacity"],
            "soc_percent": site["soc"],
            "charge_kw": site["power"],
            "discharge_kw": site["power"],
        },
        "buses": [
            {
                "count": 5,
                "charger_kw": 80,
                "arrive": {"from": "0s", "to": "3m"},
                "depart": {"from": "5m", "to": "9m"},
                "energy_kwh": {"from": 1, "to": 9},
            }
        ],
    }
    scenario: Scenario = good(document)
    for state in simulate(scenario, seed, plan_delivery(scenario, seed)):
        assert state.soc_permille is not None
        assert 0 <= state.soc_permille <= 1000
        assert 0 <= state.available_w <= 600_000
        assert -100_000 <= state.flows.grid_w <= 900_000
        assert state.flows.charging_w <= 600_000
