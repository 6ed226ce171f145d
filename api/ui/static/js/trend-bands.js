// What held beside the series: the capabilities' ON and OFF, the modes of circuits, the states that are texts. Each is
// a band on the charts' axis of time, told apart by its pattern and its word, never by colour alone.
import { element, inWords } from "./charting.js";
import { isNumber, statesOf } from "./trend-data.js";

const CAPABILITIES = { PEAK_SHAVING: "Peak shaving", DER: "DER export limit" };
const NARROW = 44; // pixels that a word needs
const READ_OUT = 12; // periods that are read out of a band

const seconds = (moment) => Date.parse(moment) / 1000;

function holding(period) {
  if (period.mode === "FAIL_SAFE") return `Fail-safe: ${inWords(period.reason)}`;
  return inWords(period.mode);
}

// All bands of an answer: a title, and the periods with their look and word.
export function bandsOf(answer) {
  const several = new Set(answer.series.map((each) => each.depot_id)).size > 1;
  const capabilities = answer.capabilities.map((band) => ({
    title: CAPABILITIES[band.capability] + (several ? `, ${band.depot_name}` : ""),
    periods: band.statuses.map((status, index) => ({
      from: seconds(band.since[index]),
      to: seconds(band.until[index]),
      look: status.toLowerCase(),
      word: status,
    })),
  }));
  const circuits = answer.circuits.map((circuit) => ({
    title: `Capacity of ${circuit.circuit_name}`,
    periods: circuit.periods.map((period) => ({
      from: seconds(period.since),
      to: seconds(period.until),
      look: period.mode.toLowerCase().replace("_", "-"),
      word: holding(period),
    })),
  }));
  const states = answer.series
    .filter((series) => !isNumber(series))
    .map((series) => ({
      title: `${series.name}: ${series.meaning}`,
      periods: statesOf(series, seconds(answer.until), answer.bucket_seconds).map((state) => ({
        from: state.from,
        to: state.to,
        look: ["true", "on"].includes(state.value) ? "on" : ["false", "off"].includes(state.value) ? "off" : "state",
        word: inWords(state.value),
      })),
    }));
  return [...states, ...capabilities, ...circuits];
}

// What a band says at a time; null: it was not known.
export const heldAt = (band, time) => band.periods.find((each) => each.from <= time && time < each.to)?.word ?? null;

// Draw bands into a room whose tracks are as wide as the charts from `min` to `max`.
export function drawBands(room, bands, min, max, moment) {
  const rows = bands.map((band) => {
    const track = element("div", "band-track");
    const shown = band.periods.filter((each) => each.to > min && each.from < max);
    const width = room.clientWidth;
    for (const each of shown) {
      const from = Math.max(0, (each.from - min) / (max - min));
      const to = Math.min(1, (each.to - min) / (max - min));
      const part = element("span", `band band-${each.look}`);
      if ((to - from) * width > Math.max(NARROW, each.word.length * 7)) part.textContent = each.word;
      part.style.left = `${from * 100}%`;
      part.style.width = `${(to - from) * 100}%`;
      part.title = `${each.word}, ${moment(each.from * 1000)} to ${moment(each.to * 1000)}`;
      track.append(part);
    }
    const said = shown.slice(-READ_OUT).map((each) => `${each.word} from ${moment(Math.max(min, each.from) * 1000)}`);
    const more = shown.length > READ_OUT ? `the last ${READ_OUT} of ${shown.length}: ` : "";
    track.setAttribute("role", "img");
    track.setAttribute("aria-label", `${band.title}: ${said.length > 0 ? more + said.join(", ") : "not known"}`);
    return element("div", "band-row", element("span", "band-title", band.title), track);
  });
  room.replaceChildren(...rows);
}
