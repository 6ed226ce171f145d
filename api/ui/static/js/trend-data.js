// What GET /api/series answers, as charts, bands and the table of trends need it.
import { gapsBetween, inWords, spaced } from "./charting.js";
import { onOtherDay } from "./zones.js";

const KILO = { W: "kW", var: "kvar", VA: "kVA" };
const HOUR = 3600;

export const unitOf = (series) => KILO[series.unit] ?? series.unit ?? "";
export const isNumber = (series) => series.kind === "NUMBER";

// What rounds to nothing has no sign.
const forms = [0, 1, 2, 3].map(
  (digits) => new Intl.NumberFormat("en-GB", { maximumFractionDigits: digits, signDisplay: "negative" }),
);

// A value as it is written: four figures or so.
export function figure(series, value) {
  if (value == null) return "·";
  if (typeof value !== "number") return inWords(value);
  const shown = KILO[series.unit] ? value / 1000 : value;
  const size = Math.abs(shown);
  const digits = size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return spaced(forms[digits].format(shown));
}

export const scaled = (series, value) => (value == null || !KILO[series.unit] ? value : value / 1000);

export const gapsOf = (series) => gapsBetween(series.times, series.last);

// A series as charts draw it.
export const lineOf = (series) => ({
  times: series.times,
  gaps: gapsOf(series),
  lists: [series.mean, series.min, series.max].map((values) => values.map((value) => scaled(series, value))),
});

// Another day's series, with its times as this day has them.
export function moved(series, zone, days) {
  const hours = new Map();
  const later = (time) => {
    const hour = Math.floor(time / HOUR);
    if (!hours.has(hour)) hours.set(hour, onOtherDay(zone, hour * HOUR * 1000, days) / 1000 - hour * HOUR);
    return time + hours.get(hour);
  };
  const faults = { ...series.faults, times: series.faults.times.map(later) };
  return { ...series, times: series.times.map(later), faults, simulated: [] };
}

const total = (numbers) => numbers.reduce((sum, value) => sum + value, 0);

const WORDS = {
  VALUE_UNAVAILABLE: "unavailable",
  VALUE_OUT_OF_RANGE: "out of range",
  WRONG_VALUE_KIND: "of the wrong kind",
  UNKNOWN_TEXT: "with an unknown text",
  WRONG_UNIT: "in the wrong unit",
};

// Whether a scenario run sent any of it, from one time to before another.
export const isSimulated = (series, from, to) =>
  series.simulated.some(({ since, until }) => Date.parse(since) / 1000 < to && Date.parse(until) / 1000 >= from);

// What is to be known of the readings from one time to before another, in words; empty: nothing.
export function qualityIn(series, from, to) {
  const inside = (time) => time >= from && time < to;
  const said = [];
  const delayed = total(series.delayed.filter((_, index) => inside(series.times[index])));
  if (delayed > 0) said.push(`${delayed} delayed`);
  if (isSimulated(series, from, to)) said.push("simulated");
  for (const [code, word] of Object.entries(WORDS)) {
    const { times, codes, counts } = series.faults;
    const many = total(counts.filter((_, index) => codes[index] === code && inside(times[index])));
    if (many > 0) said.push(`${many} ${word}`);
  }
  return said.join(", ");
}

// The states of a series of texts, each with when it began and ended: it holds until another comes, or a gap.
export function statesOf(series, until, width) {
  const states = [];
  series.times.forEach((time, index) => {
    const value = series.last[index];
    const open = states.at(-1);
    if (open && open.to === null && open.value !== value) open.to = time;
    if (value !== null && (!open || open.value !== value || open.to !== null))
      states.push({ value, from: time, to: null });
  });
  const last = states.at(-1);
  if (last && last.to === null)
    last.to = Math.min(until, Math.max(series.times.at(-1) + width, Date.parse(series.last_at) / 1000));
  return states;
}
