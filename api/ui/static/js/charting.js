// What charts share: elements, numbers, the labels of an axis of time, colours.
import { offset } from "./zones.js";

// A number as it is written here: its thousands set apart, and the sign that is as wide as a digit.
export const spaced = (text) => text.replaceAll(",", "\u202f").replace("-", "\u2212");

export const inWords = (code) => code[0] + code.slice(1).toLowerCase().replaceAll("_", " ");

export function element(tag, className, ...content) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...content);
  return made;
}

// The places of a column that stand alone between gaps: no line leads there, so they are drawn as points.
export function alone(column) {
  const known = column.flatMap((value, index) => (value === undefined ? [] : [index]));
  return known.filter(
    (index, place) => column[index] !== null && column[known[place - 1]] == null && column[known[place + 1]] == null,
  );
}

// The buckets in which nothing is known, each with the times of the buckets before and after it.
export const gapsBetween = (times, known) =>
  known.flatMap((value, index) =>
    value === null ? [[times[index - 1] ?? times[index], times[index + 1] ?? times[index]]] : [],
  );

// The time of the last bucket of a gap, where buckets are so wide. With that of its first alone, whoever points into its
// second half would be told what was measured after it.
const endOfGap = ([from, to], width) => Math.max(to - width, (from + to) / 2);

// One column of times for all lines of a chart, { times, gaps, lists }, and one for each of their lists. What a line did
// not measure is undefined, which is drawn across; in its gaps there are nulls, which are not.
export function aligned(lines, width) {
  const ends = lines.flatMap(({ gaps }) => gaps.map((gap) => endOfGap(gap, width)));
  const known = [...new Set([...lines.flatMap((line) => line.times), ...ends])].sort((a, b) => a - b);
  const times = known.length > 0 ? known : [0, 1];
  const place = new Map(times.map((time, index) => [time, index]));
  const columns = lines.flatMap((line) =>
    line.lists.map((values) => {
      const column = new Array(times.length).fill(undefined);
      for (const [from, to] of line.gaps) column.fill(null, place.get(from), place.get(to) + 1);
      line.times.forEach((time, index) => {
        if (values[index] !== null) column[place.get(time)] = values[index];
      });
      return column;
    }),
  );
  return [times, ...columns];
}

// A moment as charts, their legends and their tables say it, in a zone that this browser has: "27 Nov, 09:24".
export function moments(zone, more = {}) {
  const form = { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  return new Intl.DateTimeFormat("en-GB", { ...form, ...more, timeZone: zone });
}

// What an axis of time says at its marks, in a zone that this browser has.
export function timeLabels(zone) {
  const clock = new Intl.DateTimeFormat("en-GB", {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    timeZone: zone,
  });
  const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "short", timeZone: zone });
  const label = (time, step, index, times) => {
    const at = clock.format(time * 1000);
    if (step >= 86400 || at === "00:00") return day.format(time * 1000);
    // An hour that comes twice has the same name twice.
    const here = offset(zone, time * 1000);
    return index > 0 && here !== offset(zone, times[index - 1] * 1000) ? `${at} ${here}` : at;
  };
  return (_, splits, __, ___, step) => splits.map((time, index) => label(time, step, index, splits));
}

// The look of both axes of a chart.
export const axisLook = (colour) => ({
  stroke: colour.text,
  font: `11px ${colour.font}`,
  grid: { stroke: colour.line, width: 1 },
  ticks: { show: false },
  gap: 6,
});

// The colours that design tokens have here: one that depends on the theme is resolved only where it is used.
export function coloursIn(host, names) {
  host.probe ??= host.appendChild(element("span", "probe"));
  const of = (name) => {
    host.probe.style.color = `var(${name})`;
    return getComputedStyle(host.probe).color;
  };
  const found = Object.entries(names).map(([key, name]) => [key, Array.isArray(name) ? name.map(of) : of(name)]);
  return { ...Object.fromEntries(found), font: getComputedStyle(host).fontFamily };
}
