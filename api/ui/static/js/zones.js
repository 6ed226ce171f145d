// Time zones as this browser has them.
const offsets = new Map();

// One that it does not have, or that is none, is shown in UTC instead.
export function readable(zone) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: zone });
    return zone;
  } catch {
    return "UTC";
  }
}

// How far a readable zone is from UTC at a moment, in milliseconds: "UTC-4".
export function offset(zone, moment) {
  if (!offsets.has(zone)) {
    offsets.set(zone, new Intl.DateTimeFormat("en-GB", { timeZone: zone, timeZoneName: "shortOffset" }));
  }
  const parts = offsets.get(zone).formatToParts(moment);
  return parts.find((part) => part.type === "timeZoneName").value.replace("GMT", "UTC");
}

const clocks = new Map();

// What clocks in a readable zone show at a moment, as if it were UTC.
function wall(zone, moment) {
  if (!clocks.has(zone)) {
    const form = { year: "numeric", month: "numeric", day: "numeric", hour: "numeric", minute: "numeric" };
    clocks.set(zone, new Intl.DateTimeFormat("en-GB", { ...form, hourCycle: "h23", timeZone: zone }));
  }
  const parts = clocks.get(zone).formatToParts(moment);
  const of = (type) => Number(parts.find((part) => part.type === type).value);
  return Date.UTC(of("year"), of("month") - 1, of("day"), of("hour"), of("minute")) + (moment % 60000);
}

// The same time of day in a readable zone, so many days later; before, where they are less than none. Clocks that
// change in between make these days longer or shorter than 24 hours.
export function onOtherDay(zone, moment, days) {
  const wanted = wall(zone, moment) + days * 86400000;
  const guess = moment + days * 86400000;
  return guess + wanted - wall(zone, guess);
}

// The day in a readable zone, as a date input has it.
export function dayOf(zone, moment) {
  return new Date(wall(zone, moment)).toISOString().slice(0, 10);
}
