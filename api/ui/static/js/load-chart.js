// <load-chart src="/api/depots/…/load" zone="…" span="21600">: the load of each circuit's meters and what the circuit
// may draw, a chart for each circuit, all on one axis of time, which goes on by itself. A fail-safe is a hatched band.
import {
  aligned,
  alone,
  axisLook,
  coloursIn,
  element,
  gapsBetween,
  moments,
  spaced,
  timeLabels,
  inWords as words,
} from "./charting.js";
import { now } from "./clock.js";
import { tellSimulated } from "./simulated.js";
import { offset, readable } from "./zones.js";

const HEIGHT = { few: 200, many: 122 }; // of a chart, so that those of four circuits are seen at once
const SHORTEST_WAIT = 2000; // between two requests for the data
const TOGETHER = 150; // what comes within so long is one request
const HATCH = 7;
const ROWS = 24; // of the table
const MOST_WATTS = 1e9; // what is more can be no capacity; the history of an earlier version may have it
const MOST_TRENDS = 8; // series that the Trends page shows
// Words for what is positive and what is negative, by the power source that is measured.
const FLOWS = {
  BATTERY: ["charging", "discharging"],
  SOLAR: ["drawing", "generating"],
  GENERATOR: ["drawing", "generating"],
  LOAD: ["", "feeding back"],
};
const FAILED = "The load could not be read. It is asked for again by itself.";
const RECENT = 300; // seconds for which what was measured last counts as now

// What rounds to nothing has no sign.
const number = new Intl.NumberFormat("en-GB", {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
  signDisplay: "negative",
});
const kw = (watts) => {
  if (watts == null) return "·";
  return watts > MOST_WATTS ? "more than 1 GW" : spaced(number.format(watts / 1000));
};
// What flows, in words where it is no load: what a power source gives or takes, and what is fed back.
function flow(meter, watts) {
  const [takes, gives] = FLOWS[meter.power_source_kind] ?? FLOWS.LOAD;
  if (watts == null || Math.abs(watts) < 50) return kw(watts);
  const word = watts > 0 ? takes : gives;
  return word ? `${word} ${kw(Math.abs(watts))}` : kw(watts);
}

// A power source measures what it gives. Beside loads that is drawn below zero.
function asLoad(meter) {
  if (!meter.power_source_kind) return meter;
  const negated = (values) => values.map((value) => (value === null ? null : -value));
  const [min_w, max_w] = [negated(meter.max_w), negated(meter.min_w)];
  return { ...meter, avg_w: negated(meter.avg_w), min_w, max_w, last_w: -meter.last_w };
}

// The circuits that have a meter or a capacity of their own, by name; meters without a circuit come last.
function grouped(load) {
  const groups = new Map();
  const group = (id, name) => {
    if (!groups.has(id)) groups.set(id, { id, name: name ?? "Not linked to a circuit", meters: [], periods: [] });
    return groups.get(id);
  };
  for (const each of load.series) group(each.circuit_id, each.circuit_name).meters.push(asLoad(each));
  load.capacities.forEach((each) => {
    const found = group(each.circuit_id, each.circuit_name);
    found.periods = each.periods.map((period) => ({
      ...period,
      from: Date.parse(period.since) / 1000,
      to: Date.parse(period.until) / 1000,
      watts: period.capacity_w ?? each.rated_power_w,
    }));
  });
  const order = new Intl.Collator("en", { numeric: true });
  return [...groups.values()].sort((a, b) => (a.id == null) - (b.id == null) || order.compare(a.name, b.name));
}

const gapsOf = (meter) => gapsBetween(meter.times, meter.avg_w);

// A meter as charts draw it, in kW.
const lineOf = (meter) => ({
  times: meter.times,
  gaps: gapsOf(meter),
  lists: [meter.avg_w, meter.min_w, meter.max_w].map((watts) => watts.map((each) => each && each / 1000)),
});

class LoadChart extends HTMLElement {
  turn = 0; // of what is asked for
  newest = 0; // of what is shown
  failed = false; // what was asked for last

  connectedCallback() {
    this.room = this.querySelector(".charts");
    this.note = this.querySelector(".chart-note");
    this.table = this.querySelector(".table-room");
    this.panels = [];
    this.stop = new AbortController();
    const { signal } = this.stop;
    this.addEventListener("change", (event) => this.choose(event.target), { signal });
    document.addEventListener("live-packet", () => this.askSoon(), { signal });
    for (const name of ["live-capacity", "live-depot"]) {
      document.addEventListener(name, () => this.askIn(TOGETHER), { signal });
    }
    const redraw = () => this.show();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw, { signal });
    this.theme = new MutationObserver(redraw);
    this.theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    this.sizes = new ResizeObserver(() => {
      for (const panel of this.panels) this.fit(panel);
    });
    this.sizes.observe(this.room);
    this.ticking = setInterval(() => this.slide(), 5000);
    this.ask();
  }

  disconnectedCallback() {
    this.stop.abort();
    this.theme.disconnect();
    this.sizes.disconnect();
    clearInterval(this.ticking);
    clearTimeout(this.waiting);
    this.clear();
  }

  get span() {
    return Number(this.getAttribute("span"));
  }

  get zone() {
    return readable(this.getAttribute("zone"));
  }

  choose(input) {
    if (input.name !== "range") return;
    this.setAttribute("span", input.dataset.seconds);
    history.replaceState(history.state, "", `?range=${input.value}`);
    this.ask();
  }

  // A longer range has wider buckets, so it is asked for less often.
  askSoon() {
    const wait = Math.max(SHORTEST_WAIT, ((this.load?.bucket_seconds ?? 0) * 1000) / 4);
    this.askIn(Math.max(0, (this.asked ?? 0) + wait - performance.now()));
  }

  // Whoever asks for it sooner is heard; whoever asks for it later is served by then.
  askIn(wait) {
    const due = performance.now() + wait;
    if (this.waiting && this.due <= due) return;
    clearTimeout(this.waiting);
    this.due = due;
    this.waiting = setTimeout(() => this.ask(), wait);
  }

  async ask() {
    clearTimeout(this.waiting);
    this.waiting = undefined;
    this.asked = performance.now();
    const turn = this.turn + 1;
    this.turn = turn;
    const { span } = this;
    const until = now() + 1000;
    const wanted = new URLSearchParams({
      since: new Date(until - span * 1000).toISOString(),
      until: new Date(until).toISOString(),
    });
    this.setAttribute("aria-busy", "true");
    try {
      const answer = await fetch(`${this.getAttribute("src")}?${wanted}`, { headers: { accept: "application/json" } });
      if (!answer.ok) throw new Error(answer.statusText);
      const load = await answer.json();
      // Where so much changes that the next is asked for before this one is here, this one is shown, too.
      if (turn < this.newest || span !== this.span) return;
      this.newest = turn;
      this.load = load;
      if (turn === this.turn) this.failed = false;
      this.show();
      this.dataset.answered = "";
    } catch {
      if (turn !== this.turn) return;
      // What is shown stays; it is asked for again when the connection is back.
      this.failed = true;
      this.note.textContent = FAILED;
      this.dataset.answered = "";
    } finally {
      if (turn === this.turn) this.removeAttribute("aria-busy");
    }
  }

  get height() {
    return this.room.childElementCount > 2 ? HEIGHT.many : HEIGHT.few;
  }

  clear() {
    for (const panel of this.panels) panel.plot.destroy();
    this.panels = [];
  }

  show() {
    if (!this.load || !this.isConnected) return;
    const groups = grouped(this.load);
    const shape = JSON.stringify([
      this.colours(),
      groups.map((group) => [group.id, group.name, group.periods.length > 0, group.meters.map((m) => m.device_name)]),
    ]);
    if (shape !== this.shape) {
      this.shape = shape;
      this.clear();
      this.room.replaceChildren();
      this.panels = groups.map((group) => this.build(group));
      for (const panel of this.panels) this.fit(panel);
    }
    this.panels.forEach((panel, index) => {
      panel.group = groups[index];
      panel.plot.setData(aligned(panel.group.meters.map(lineOf), this.load.bucket_seconds), false);
      this.describe(panel);
    });
    this.slide();
    this.lead();
    const { series, capacities: circuits } = this.load;
    tellSimulated(this.querySelector(".simulated-notes"), { series, circuits }, this.zone);
    this.tabulate(groups);
    const none = groups.every((group) => group.meters.length === 0);
    const said = none ? ["No meter of this depot sent its load in this time."] : [];
    const zone = this.getAttribute("zone");
    if (zone !== this.zone) said.push(`This browser does not know the time zone ${zone}: times are shown in UTC.`);
    this.note.textContent = this.failed ? FAILED : said.join(" ");
  }

  // The meters that are shown here, on the page that shows more of them.
  lead() {
    const series = this.load.series.slice(0, MOST_TRENDS).map((each) => `device:${each.device_id}:TOTAL_POWER_LOAD`);
    const query = new URLSearchParams(series.map((each) => ["series", each]));
    const range = this.querySelector("[name=range]:checked")?.value;
    if (series.length === 0) return;
    if (range) query.set("range", range);
    const link = this.querySelector(".in-trends");
    link.search = `?${query}`;
  }

  colours() {
    return coloursIn(this, {
      text: "--text-quiet",
      line: "--line",
      capacity: "--bus",
      failSafe: "--warn",
      ground: "--panel",
      gap: "--quiet-ground",
      loads: ["--load-1", "--load-2", "--load-3", "--load-4"],
    });
  }

  build(group) {
    const colour = this.colours();
    const title = element("h3", "", group.name);
    const legend = element("ul", "chart-legend");
    const body = element("div", "chart-body");
    const panel = { group, legend, body };
    const part = element("section", "chart", element("div", "chart-head", title, legend), body);
    part.setAttribute("aria-label", `Load of ${group.name}`);
    body.setAttribute("role", "img");
    this.room.append(part);
    const axis = axisLook(colour);
    const meters = group.meters.flatMap((meter, index) => {
      const stroke = colour.loads[index % colour.loads.length];
      const edge = { scale: "y", width: 0, points: { show: false } };
      const points = { show: true, size: 4, fill: stroke, filter: (plot, series) => alone(plot.data[series]) };
      return [{ label: meter.device_name, scale: "y", stroke, width: 1.75, points }, edge, edge];
    });
    panel.plot = new uPlot(
      {
        width: Math.max(200, body.clientWidth),
        height: this.height,
        tzDate: (time) => uPlot.tzDate(new Date(time * 1000), this.zone),
        legend: { show: false },
        cursor: { sync: { key: "load" }, drag: { x: false, y: false }, y: false, points: { size: 6 } },
        scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => this.range(panel, low, high) } },
        axes: [
          {
            ...axis,
            size: 26,
            space: 70,
            values: timeLabels(this.zone),
          },
          {
            ...axis,
            size: 52,
            space: 32,
            values: (_, splits) => splits.map((value) => spaced(value.toLocaleString("en-GB"))),
          },
        ],
        series: [{}, ...meters],
        bands: group.meters.map((_, index) => ({
          series: [3 * index + 3, 3 * index + 2],
          fill: colour.loads[index % colour.loads.length].replace("rgb(", "rgba(").replace(")", ", 0.2)"),
        })),
        hooks: {
          drawClear: [(plot) => this.shade(plot, panel, colour), (plot) => this.hatch(plot, panel, colour)],
          draw: [(plot) => this.drawCapacity(plot, panel, colour)],
          setCursor: [() => this.tell(panel)],
        },
      },
      [[0, 1], ...meters.map(() => [null, null])],
      body,
    );
    return panel;
  }

  range(panel, low, high) {
    const held = panel.group.periods
      .map((period) => period.watts)
      .filter((watts) => watts != null && watts <= MOST_WATTS);
    const most = Math.max(1, high ?? 0, ...held.map((watts) => watts / 1000));
    const least = Math.min(0, low ?? 0);
    return [least < 0 ? least * 1.1 : 0, most * 1.1];
  }

  fit(panel) {
    const width = Math.max(200, panel.body.clientWidth);
    if (panel.plot.width !== width || panel.plot.height !== this.height)
      panel.plot.setSize({ width, height: this.height });
  }

  slide() {
    const end = now() / 1000;
    this.panels.forEach((panel) => {
      panel.plot.setScale("x", { min: end - this.span, max: end });
      this.tell(panel);
    });
  }

  // What held last holds until now, also while nothing is heard.
  until(panel, period) {
    return period === panel.group.periods.at(-1) && period.until === this.load.until ? now() / 1000 : period.to;
  }

  // When no meter of a circuit sent anything: the times of their gaps that all of them share, and since the last of it.
  gapsIn(panel) {
    const all = panel.group.meters.map((meter) => {
      const last = Date.parse(meter.last_at) / 1000;
      return now() / 1000 - last > RECENT ? [...gapsOf(meter), [last, Number.POSITIVE_INFINITY]] : gapsOf(meter);
    });
    return all.reduce(
      (shared, gaps) =>
        shared.flatMap(([from, to]) =>
          gaps.map(([begin, end]) => [Math.max(from, begin), Math.min(to, end)]).filter(([begin, end]) => begin < end),
        ),
      all.length > 0 ? [[Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY]] : [],
    );
  }

  // A gap is a gap: where nothing was received, the ground says so.
  shade(plot, panel, colour) {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.fillStyle = colour.gap;
    for (const [from, to] of this.gapsIn(panel)) {
      const left = Math.max(bbox.left, plot.valToPos(from, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(Math.min(to, now() / 1000), "x", true));
      if (right > left) ctx.fillRect(left, bbox.top, right - left, bbox.height);
    }
    ctx.restore();
  }

  hatch(plot, panel, colour) {
    const { ctx, bbox } = plot;
    for (const period of panel.group.periods.filter((each) => each.mode === "FAIL_SAFE")) {
      const left = Math.max(bbox.left, plot.valToPos(period.from, "x", true));
      const right = Math.min(bbox.left + bbox.width, plot.valToPos(this.until(panel, period), "x", true));
      if (right <= left) continue;
      const scale = devicePixelRatio;
      const width = Math.max(right - left, 2 * scale);
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, width, bbox.height);
      ctx.clip();
      ctx.strokeStyle = colour.failSafe;
      ctx.lineWidth = scale;
      ctx.globalAlpha = 0.55;
      ctx.beginPath();
      for (let x = left - bbox.height - (left % (HATCH * scale)); x < left + width; x += HATCH * scale) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.moveTo(left, bbox.top);
      ctx.lineTo(left, bbox.top + bbox.height);
      ctx.stroke();
      ctx.restore();
    }
  }

  drawCapacity(plot, panel, colour) {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.strokeStyle = colour.capacity;
    ctx.lineWidth = 2 * scale;
    ctx.setLineDash([6 * scale, 3 * scale]);
    ctx.beginPath();
    let drawn = false;
    for (const period of panel.group.periods) {
      if (period.watts == null) {
        drawn = false;
        continue;
      }
      const y = plot.valToPos(period.watts / 1000, "y", true);
      const from = plot.valToPos(period.from, "x", true);
      if (drawn) ctx.lineTo(from, y);
      else ctx.moveTo(from, y);
      ctx.lineTo(plot.valToPos(this.until(panel, period), "x", true), y);
      drawn = true;
    }
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.font = `600 ${11 * scale}px ${colour.font}`;
    ctx.textBaseline = "top";
    ctx.textAlign = "left";
    for (const period of panel.group.periods.filter((each) => each.mode === "FAIL_SAFE")) {
      const left = Math.max(bbox.left, plot.valToPos(period.from, "x", true));
      const room = Math.min(bbox.left + bbox.width, plot.valToPos(this.until(panel, period), "x", true)) - left;
      const text = words(period.reason);
      const width = ctx.measureText(text).width;
      if (room < width + 12 * scale) continue;
      ctx.fillStyle = colour.ground;
      ctx.fillRect(left + 3 * scale, bbox.top + 3 * scale, width + 8 * scale, 17 * scale);
      ctx.fillStyle = colour.failSafe;
      ctx.fillText(text, left + 7 * scale, bbox.top + 6 * scale);
    }
    ctx.restore();
  }

  held(panel, time) {
    return panel.group.periods.findLast((each) => each.from <= time && time <= this.until(panel, each));
  }

  // The legend: what is measured, and what holds, at the cursor, or now.
  describe(panel) {
    const when = element("li", "legend-when", "Now");
    const items = panel.group.meters.map((meter, index) => {
      const swatch = element("span", `swatch load-${(index % 4) + 1}`);
      return element("li", "", swatch, `${meter.device_name} `, element("output", "number"));
    });
    if (panel.group.periods.length > 0) {
      items.push(element("li", "", element("span", "swatch capacity"), "Capacity ", element("output", "number")));
    }
    if (panel.group.periods.some((period) => period.mode === "FAIL_SAFE")) {
      items.push(element("li", "fail-safe", element("span", "swatch hatched"), element("span", "", "Fail-safe")));
    }
    if (this.gapsIn(panel).length > 0) items.push(element("li", "", element("span", "swatch gap"), "Nothing received"));
    panel.legend.replaceChildren(when, ...items);
    this.tell(panel);
    const parts = panel.group.meters.map((meter) => {
      const most = flow(meter, Math.max(...meter.max_w.filter((value) => value !== null)));
      const count = gapsOf(meter).length;
      const gaps = count > 0 ? `, ${count} ${count === 1 ? "gap" : "gaps"}` : "";
      return `${meter.device_name}: ${flow(meter, meter.last_w)} kW at last, ${most} kW at most${gaps}`;
    });
    const last = panel.group.periods.at(-1);
    if (last) parts.push(`capacity ${kw(last.watts)} kW${last.reason ? `, fail-safe: ${words(last.reason)}` : ""}`);
    panel.body.setAttribute("aria-label", `Chart of ${panel.group.name}. ${parts.join("; ")}.`);
  }

  moment(milliseconds) {
    return moments(this.zone).format(milliseconds);
  }

  tell(panel) {
    if (!panel.plot || !this.load) return;
    const { idx, left } = panel.plot.cursor;
    const hovers = left != null && left >= 0;
    const time = hovers ? panel.plot.posToVal(left, "x") : now() / 1000;
    panel.legend.querySelector(".legend-when").textContent = hovers ? `At ${this.moment(time * 1000)}` : "Now";
    const outputs = [...panel.legend.querySelectorAll("output")];
    panel.group.meters.forEach((meter, index) => {
      const value = hovers ? panel.plot.data[3 * index + 1]?.[idx] : meter.last_w / 1000;
      const at = Date.parse(meter.last_at);
      const old = !hovers && time - at / 1000 > RECENT;
      const said = value === null ? "gap" : value === undefined ? "·" : flow(meter, value * 1000);
      outputs[index].textContent = said + (old ? ` at ${this.moment(at)}` : "");
    });
    const period = this.held(panel, time);
    if (outputs.length > panel.group.meters.length) outputs.at(-1).textContent = kw(period?.watts);
    const failSafe = panel.legend.querySelector(".fail-safe");
    if (failSafe) {
      const holds = period?.mode === "FAIL_SAFE";
      failSafe.classList.toggle("holds", holds);
      failSafe.lastElementChild.textContent = holds ? `Fail-safe: ${words(period.reason)}` : "Fail-safe";
    }
  }

  tabulate(groups) {
    const until = Date.parse(this.load.until) / 1000;
    const step = this.span / ROWS;
    const cell = (tag, text, scope) => Object.assign(element(tag, "", text), scope ? { scope } : {});
    const head = element("tr", "", cell("th", `From (${this.zone})`, "col"));
    const starts = Array.from({ length: ROWS }, (_, row) => (until - (row + 1) * step) * 1000);
    const offsets = starts.map((from) => offset(this.zone, from));
    const change = new Set(offsets).size > 1;
    const rows = starts.map((from, row) =>
      element("tr", "", cell("th", change ? `${this.moment(from)} ${offsets[row]}` : this.moment(from), "row")),
    );
    const column = (name, of) => {
      head.append(cell("th", name, "col"));
      for (const [index, row] of rows.entries()) {
        row.append(cell("td", of(until - (index + 1) * step, until - index * step)));
      }
    };
    groups.forEach((group) => {
      for (const meter of group.meters) {
        column(`${group.name}: ${meter.device_name}, mean kW`, (from, to) => {
          const inside = (time) => time >= from && time < to;
          const values = meter.avg_w.filter((value, index) => value !== null && inside(meter.times[index]));
          const gap = gapsOf(meter).some(([begins, ends]) => begins + this.load.bucket_seconds < to && ends > from);
          if (values.length === 0) return gap ? "gap" : "·";
          return (
            flow(meter, values.reduce((sum, value) => sum + value, 0) / values.length) + (gap ? ", partly a gap" : "")
          );
        });
      }
      if (group.periods.length === 0) return;
      column(`${group.name}: least capacity, kW`, (from, to) => {
        const held = group.periods.filter((each) => each.from < to && each.to > from);
        const watts = held.map((each) => each.watts).filter((each) => each != null);
        const reasons = new Set(held.filter((each) => each.reason).map((each) => words(each.reason)));
        const least = watts.length > 0 ? kw(Math.min(...watts)) : "·";
        return reasons.size > 0 ? `${least}, fail-safe: ${[...reasons].join(", ")}` : least;
      });
    });
    if (groups.length === 0) {
      this.table.replaceChildren(element("p", "quiet-text", "Nothing was measured in this time."));
      return;
    }
    const caption = element("caption", "visually-hidden", "Load and capacity, the latest first");
    this.table.replaceChildren(
      element("table", "load-table", caption, element("thead", "", head), element("tbody", "", ...rows)),
    );
  }
}

customElements.define("load-chart", LoadChart);
