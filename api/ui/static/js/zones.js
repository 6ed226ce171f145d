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
