// <trend-chart src="/api/series" zone="…" span="86400">: up to eight series on one axis of time, a chart for each unit,
// with bands below and a table of the same. Up to now it goes on by itself; moved in time it stays. The page's address
// and its form #trend hold what is shown.
import { coloursIn, element, moments } from "./charting.js";
import { now } from "./clock.js";
import { tellSimulated } from "./simulated.js";
import { bandsOf, drawBands } from "./trend-bands.js";
import { figure, isNumber, moved, qualityIn, unitOf } from "./trend-data.js";
import { ACTS, listenToFingers, listenToKeys } from "./trend-moves.js";
import { groupsOf, TrendPlot } from "./trend-plot.js";
import { TrendTable } from "./trend-table.js";
import { dayOf, offset, onOtherDay, readable } from "./zones.js";

const SHORTEST_WAIT = 2000; // between two requests for live data
const SETTLED = 250; // after which a move is asked for
const SHORTEST = 60; // seconds that are shown
const LONGEST = 366 * 86400;
const RECENT = 300; // seconds for which what was measured last counts as now
const DAY = 86400000;

const days = (count) => (count === 1 ? "the day before" : `${count} days before`);

class TrendChart extends HTMLElement {
  turn = 0; // of what is asked for
  newest = 0; // of what is shown
  failed = false; // what was asked for last

  connectedCallback() {
    this.room = this.querySelector(".trend-room");
    this.charts = this.querySelector(".charts");
    this.bandRoom = this.querySelector(".trend-bands");
    this.note = this.querySelector(".chart-note");
    this.table = new TrendTable(this.querySelector(".table-room"), this.querySelector(".table-pages"));
    this.zone = readable(this.getAttribute("zone"));
    this.span = Number(this.getAttribute("span"));
    this.compare = Number(this.getAttribute("compare"));
    this.fixed = this.hasAttribute("since")
      ? { from: Date.parse(this.getAttribute("since")) / 1000, to: Date.parse(this.getAttribute("until")) / 1000 }
      : null;
    this.plots = [];
    this.bands = [];
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.addEventListener("change", (event) => this.choose(event.target), { signal });
    this.addEventListener("click", (event) => ACTS[event.target.closest("[data-act]")?.dataset.act]?.(this), {
      signal,
    });
    listenToKeys(this.room, this, signal);
    listenToFingers(this.room, this, signal);
    for (const name of ["live-packet", "live-capacity"]) {
      document.addEventListener(name, () => this.askSoon(), { signal });
    }
    const redraw = () => this.show();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal });
    this.theme = new MutationObserver(redraw);
    this.theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.sizes = new ResizeObserver(() => {
      for (const plot of this.plots) plot.fit();
      this.slide();
    });
    this.sizes.observe(this.charts);
    this.ticking = setInterval(() => this.fixed || this.slide(), 5000);
    this.offerDay();
    this.ask();
  }

  disconnectedCallback() {
    this.stop.abort();
    this.theme.disconnect();
    this.sizes.disconnect();
    clearInterval(this.ticking);
    clearTimeout(this.waiting);
    for (const plot of this.plots) plot.plot.destroy();
    this.plots = [];
  }

  // From when to when, in seconds.
  get shown() {
    const to = now() / 1000;
    return this.fixed ?? { from: to - this.span, to };
  }

  choose(input) {
    if (input.name === "span") {
      this.fixed = null;
      this.span = Number(input.dataset.seconds);
    } else if (input.name === "compared" && input.value !== "other") {
      this.compare = Number(input.value);
    } else if (input.name === "day" && input.value) {
      const before = Math.round((Date.parse(dayOf(this.zone, this.shown.to * 1000)) - Date.parse(input.value)) / DAY);
      if (before < 1) return;
      this.compare = before;
    } else if (input.name !== "compared") return;
    this.offerDay();
    this.keep();
    this.ask();
  }

  offerDay() {
    const field = this.querySelector(".trend-day");
    field.hidden = this.querySelector("[name=compared]").value !== "other";
    const input = field.querySelector("input");
    const latest = this.shown.to * 1000;
    input.max = dayOf(this.zone, onOtherDay(this.zone, latest, -1));
    if (this.compare > 0) input.value = dayOf(this.zone, onOtherDay(this.zone, latest, -this.compare));
  }

  zoom(factor, at) {
    const { from, to } = this.shown;
    const span = Math.min(LONGEST, Math.max(SHORTEST, (to - from) * factor));
    // What goes on by itself goes on, as long as the right edge is not left.
    if (!this.fixed && at === 0.5) this.move(to - span, to);
    else this.move(from + (to - from - span) * at, from + (to - from - span) * at + span);
  }

  pan(share) {
    const { from, to } = this.shown;
    this.move(from + (to - from) * share, to + (to - from) * share);
  }

  goLive() {
    const { from, to } = this.shown;
    this.move(now() / 1000 - (to - from), now() / 1000);
  }

  // Nothing is measured yet of what is to come, so the right edge is now.
  move(from, to) {
    const edge = now() / 1000;
    const span = to - from;
    this.fixed = to >= edge - 1 ? null : { from, to };
    this.span = span;
    this.slide();
    this.keep();
    this.askIn(SETTLED);
  }

  selected(plot) {
    const { left, width } = plot.select;
    if (width < 8) return;
    const from = plot.posToVal(left, "x");
    const to = plot.posToVal(left + width, "x");
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    const middle = (from + to) / 2;
    const span = Math.max(SHORTEST, to - from);
    this.move(middle - span / 2, middle + span / 2);
  }

  // The address and the form have what is shown, so that a link and the next series keep it.
  keep() {
    const chosen = [...this.querySelectorAll("[name=span]")];
    const name = chosen.find((each) => Number(each.dataset.seconds) === Math.round(this.span))?.value;
    for (const each of chosen) each.checked = !this.fixed && each.value === name;
    const given = this.fixed
      ? { since: new Date(this.fixed.from * 1000).toISOString(), until: new Date(this.fixed.to * 1000).toISOString() }
      : { range: name ?? `${Math.round(this.span)}s` };
    if (this.compare) given.compare = this.compare;
    const inputs = Object.entries(given).map(([key, value]) =>
      Object.assign(document.createElement("input"), { type: "hidden", name: key, value }),
    );
    document.getElementById("trend-window").replaceChildren(...inputs);
    const query = new URLSearchParams(new FormData(document.getElementById("trend")));
    history.replaceState(history.state, "", `?${query}`);
  }

  // What is asked for but for the moment: an answer to something else is not shown.
  get chosen() {
    return JSON.stringify([this.keys, this.fixed, this.span, this.compare]);
  }

  get keys() {
    return [...this.querySelectorAll("[data-series]")].map((each) => each.dataset.series);
  }

  // A longer time has wider buckets, so it is asked for less often; what stays as it is is not asked for again.
  askSoon() {
    if (this.fixed) return;
    const wait = Math.max(SHORTEST_WAIT, ((this.answer?.bucket_seconds ?? 0) * 1000) / 4);
    this.askIn(Math.max(0, (this.asked ?? 0) + wait - performance.now()), true);
  }

  // A move waits anew for each further one; what comes live is served by what is asked for before.
  askIn(wait, live = false) {
    if (live && this.waiting) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.ask(), wait);
  }

  async read(from, to) {
    const wanted = new URLSearchParams(this.keys.map((key) => ["series", key]));
    wanted.set("since", new Date(from).toISOString());
    wanted.set("until", new Date(to).toISOString());
    const answer = await fetch(`${this.getAttribute("src")}?${wanted}`, { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(answer.statusText);
    return answer.json();
  }

  async ask() {
    clearTimeout(this.waiting);
    this.waiting = undefined;
    this.asked = performance.now();
    this.turn += 1;
    const { turn, chosen } = this;
    const [from, to] = [this.shown.from * 1000, this.shown.to * 1000 + (this.fixed ? 0 : 1000)];
    const before = this.compare;
    this.aimExports(from, to);
    this.setAttribute("aria-busy", "true");
    try {
      const [answer, other] = await Promise.all([
        this.read(from, to),
        before ? this.read(onOtherDay(this.zone, from, -before), onOtherDay(this.zone, to, -before)) : null,
      ]);
      // Where so much comes live that the next is asked for before this one is here, this one is shown, too.
      if (turn < this.newest || chosen !== this.chosen) return;
      this.newest = turn;
      this.answer = answer;
      this.other = other && {
        name: days(before),
        series: other.series.map((series) => moved(series, this.zone, before)),
      };
      if (turn === this.turn) this.failed = false;
      this.show();
      this.dataset.answered = "";
    } catch {
      if (turn !== this.turn) return;
      this.failed = true;
      this.tellFailure();
      this.dataset.answered = "";
    } finally {
      if (turn === this.turn) this.removeAttribute("aria-busy");
    }
  }

  // What is exported is of the time that is shown.
  aimExports(from, to) {
    for (const link of this.querySelectorAll(".exports a")) {
      const address = new URL(link.href);
      address.searchParams.set("since", new Date(from).toISOString());
      address.searchParams.set("until", new Date(to).toISOString());
      link.href = address;
    }
  }

  // What is shown stays.
  tellFailure() {
    const again = element("button", "quiet", "Try again");
    again.type = "button";
    again.addEventListener("click", () => this.ask());
    const old = this.answer ? ` What is shown was read up to ${this.moment(Date.parse(this.answer.until))}.` : "";
    this.note.replaceChildren(`The series could not be read.${old} `, again);
  }

  colours() {
    return coloursIn(this, {
      text: "--text-quiet",
      line: "--line",
      warn: "--warn",
      ground: "--panel",
      series: Array.from({ length: 8 }, (_, index) => `--series-${index + 1}`),
    });
  }

  show() {
    if (!this.answer || !this.isConnected) return;
    const groups = groupsOf(this.answer.series, this.other?.series);
    const colour = this.colours();
    const shape = JSON.stringify([
      colour,
      groups.map((group) => [group.unit, group.members.map((each) => [each.place, each.dashed])]),
    ]);
    if (shape !== this.shape) {
      this.shape = shape;
      for (const plot of this.plots) plot.plot.destroy();
      this.plots = groups.map((group) => new TrendPlot(this, group, colour, this.zone));
      this.charts.replaceChildren(...this.plots.map((plot) => plot.part));
      for (const plot of this.plots) plot.draw(groups.length);
    }
    for (const [index, plot] of this.plots.entries()) plot.show(groups[index].members);
    this.bands = bandsOf(this.answer);
    this.slide();
    this.describe();
    this.table.show(this.answer, this.bands, this.other, this.zone, (time) => this.moment(time));
  }

  slide() {
    if (!this.answer) return;
    const { from, to } = this.shown;
    for (const { plot } of this.plots) plot.setScale("x", { min: from, max: to });
    drawBands(this.bandRoom, this.bands, from, to, (time) => this.moment(time));
    this.tell();
  }

  describe() {
    const nothing = this.answer.series.every((series) => series.last_at === null);
    const said = nothing ? ["None of these was measured in this time."] : [];
    if (!this.answer.capabilities_complete) said.push("The capabilities changed too often to show all of it.");
    const zones = new Set(this.answer.series.map((series) => series.timezone));
    if (zones.size > 1) said.push(`The depots are in several time zones: all times are in ${this.zone}.`);
    if (this.getAttribute("zone") !== this.zone) {
      said.push(`This browser does not know the time zone ${this.getAttribute("zone")}: times are shown in UTC.`);
    }
    if (this.failed) this.tellFailure();
    else this.note.textContent = said.join(" ");
    tellSimulated(this.querySelector(".simulated-notes"), this.answer, this.zone);
    this.answer.series.forEach((series, index) => {
      const quality = this.querySelectorAll(".trend-chosen li")[index]?.querySelector(".trend-quality");
      if (!quality) return;
      const told = qualityIn(series, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY);
      const faulty = new Set(series.faults.times);
      const gaps = series.last.filter((value, at) => value === null && !faulty.has(series.times[at])).length;
      const broken = gaps > 0 ? `${gaps} ${gaps === 1 ? "gap" : "gaps"}` : "";
      quality.textContent =
        series.device_id === null ? "no device measured it in this time" : [told, broken].filter(Boolean).join(", ");
    });
  }

  moment(milliseconds) {
    const form = {};
    if (milliseconds % 60000 !== 0 && this.answer?.bucket_seconds < 60) form.second = "2-digit";
    if (this.span > 180 * 86400) form.year = "numeric";
    const text = moments(this.zone, form).format(milliseconds);
    // An hour that comes twice has the same name twice.
    const here = offset(this.zone, milliseconds);
    const changes =
      here !== offset(this.zone, this.shown.from * 1000) || here !== offset(this.zone, this.shown.to * 1000);
    return changes ? `${text} ${here}` : text;
  }

  pointed(plot) {
    const { idx, left } = plot.cursor;
    this.at = left != null && left >= 0 && idx != null ? plot.data[0][idx] : null;
    this.tell();
  }

  // What was measured at the cursor, or last; and which time is shown.
  tell() {
    const places = this.querySelectorAll(".trend-chosen li");
    this.answer.series.forEach((series, index) => {
      const output = places[index]?.querySelector("output");
      if (!output) return;
      output.textContent = this.at == null ? this.lastOf(series) : this.valueAt(series, this.at);
    });
    const { from, to } = this.shown;
    const until = this.fixed ? this.moment(to * 1000) : "now";
    const at = this.at == null ? "" : ` At the cursor: ${this.moment(this.at * 1000)}.`;
    const other = this.other ? ` Dashed: ${this.other.name}.` : "";
    const text = `${this.moment(from * 1000)} to ${until}, ${this.zone}; a value each ${this.width()}.${other}${at}`;
    const line = this.querySelector(".trend-window");
    if (line.textContent !== text) line.textContent = text;
  }

  width() {
    const seconds = this.answer.bucket_seconds;
    if (seconds % 86400 === 0) return seconds === 86400 ? "day" : `${seconds / 86400} days`;
    if (seconds % 3600 === 0) return `${seconds / 3600} h`;
    return seconds % 60 === 0 ? `${seconds / 60} min` : `${seconds} s`;
  }

  lastOf(series) {
    const index = series.last.findLastIndex((value) => value !== null);
    if (index < 0) return "nothing";
    const unit = unitOf(series);
    const text = `${figure(series, series.last[index])}${unit ? ` ${unit}` : ""}`;
    const at = Date.parse(series.last_at);
    return !this.fixed && now() - at > RECENT * 1000 ? `${text} at ${this.moment(at)}` : text;
  }

  valueAt(series, time) {
    const index = series.times.findLastIndex((each) => each <= time);
    if (index < 0 || time - series.times[index] > this.answer.bucket_seconds) return "·";
    const unit = unitOf(series);
    const text = figure(series, isNumber(series) ? series.mean[index] : series.last[index]);
    return text === "·" || !unit ? text : `${text} ${unit}`;
  }
}

customElements.define("trend-chart", TrendChart);
