// One chart of trends: the series of one unit, those of another day dashed, and what is wrong with their readings as
// marks on the axis of time. Each line ends with the number that its series has in the list, so no colour is needed.
import { aligned, alone, axisLook, element, spaced, timeLabels } from "./charting.js";
import { isNumber, isSimulated, lineOf, unitOf } from "./trend-data.js";

const HEIGHT = { one: 300, few: 200, many: 140 };
const FROM_ZERO = new Set(["kW", "kvar", "kVA", "A"]);
const AXIS = 56; // pixels; the bands below begin as far in, and end as far before the edge
const EDGE = 20; // half of a date, which the axis may have at its very end

export class TrendPlot {
  // `group`: { unit, members: [{ series, place, compared }] }
  constructor(host, group, colour, zone) {
    this.host = host;
    this.group = group;
    this.zone = zone;
    this.colour = colour;
    this.body = element("div", "chart-body");
    this.body.setAttribute("role", "img");
    const title = element("h3", "", group.unit || "No unit");
    this.none = element("p", "quiet-text", "Nothing was measured in this time.");
    this.none.hidden = true;
    this.part = element("section", "chart", element("div", "chart-head", title), this.body, this.none);
  }

  draw(count) {
    const { colour, group } = this;
    this.height = count > 2 ? HEIGHT.many : count === 2 ? HEIGHT.few : HEIGHT.one;
    const axis = axisLook(colour);
    const lines = group.members.flatMap(({ place, dashed }) => {
      const stroke = colour.series[place];
      const edge = { scale: "y", width: 0, points: { show: false } };
      const points = { show: true, size: 5, fill: stroke, filter: (plot, series) => alone(plot.data[series]) };
      return [{ scale: "y", stroke, width: dashed ? 1.25 : 1.75, dash: dashed ? [5, 4] : [], points }, edge, edge];
    });
    const bands = group.members.flatMap(({ place, dashed }, index) =>
      dashed
        ? []
        : {
            series: [3 * index + 3, 3 * index + 2],
            fill: colour.series[place].replace("rgb(", "rgba(").replace(")", ", 0.16)"),
          },
    );
    this.plot = new uPlot(
      {
        width: Math.max(200, this.body.clientWidth),
        height: this.height,
        padding: [8, EDGE, 0, 0],
        tzDate: (time) => uPlot.tzDate(new Date(time * 1000), this.zone),
        legend: { show: false },
        cursor: {
          sync: { key: "trends", setSeries: false },
          drag: { x: true, y: false, setScale: false },
          y: false,
          points: { size: 6 },
        },
        scales: { x: { time: true, auto: false }, y: { range: (_, low, high) => this.range(low, high) } },
        axes: [
          { ...axis, size: 26, space: 70, values: timeLabels(this.zone) },
          {
            ...axis,
            size: AXIS,
            space: 32,
            values: (_, splits) => splits.map((value) => spaced(value.toLocaleString("en-GB"))),
          },
        ],
        series: [{}, ...lines],
        bands,
        hooks: {
          draw: [(plot) => this.mark(plot)],
          setSelect: [(plot) => this.host.selected(plot)],
          setCursor: [(plot) => this.host.pointed(plot)],
        },
      },
      [[0, 1], ...lines.map(() => [null, null])],
      this.body,
    );
  }

  range(low, high) {
    if (low == null || high == null) return [0, 1];
    const zero = FROM_ZERO.has(this.group.unit);
    const [least, most] = zero ? [Math.min(0, low), Math.max(0, high)] : [low, high];
    const room = (most - least || Math.abs(most) || 1) * 0.08;
    if (this.group.unit === "%" && least >= 0 && most <= 100)
      return [Math.max(0, least - room), Math.min(100, most + room)];
    return [zero && least === 0 ? 0 : least - room, most + room];
  }

  show(members) {
    this.group.members = members;
    const lines = members.map((each) => lineOf(each.series));
    this.plot.setData(aligned(lines, this.host.answer.bucket_seconds), false);
    this.none.hidden = members.some(({ series }) => series.mean.some((value) => value !== null));
    this.part.classList.toggle("is-empty", !this.none.hidden);
    const said = members.map(({ series, dashed, place }) => {
      const known = series.mean.filter((value) => value !== null).length;
      return `${place + 1} ${series.name}: ${series.meaning}${dashed ? ", another day" : ""}${known ? "" : ", nothing measured"}`;
    });
    this.body.setAttribute("aria-label", `Chart in ${this.group.unit || "no unit"}. ${said.join("; ")}.`);
  }

  fit() {
    const width = Math.max(200, this.body.clientWidth);
    if (this.plot.width !== width) this.plot.setSize({ width, height: this.height });
  }

  // Numbers at the ends of lines; on the axis a triangle where readings were delayed, a cross where they had no value;
  // above a square where a scenario run sent them.
  mark(plot) {
    const { ctx, bbox } = plot;
    const scale = devicePixelRatio;
    const floor = bbox.top + bbox.height;
    const width = this.host.answer.bucket_seconds;
    const inside = (x) => x >= bbox.left && x <= bbox.left + bbox.width;
    ctx.save();
    ctx.font = `700 ${11 * scale}px ${this.colour.font}`;
    ctx.textBaseline = "middle";
    this.group.members.forEach(({ place, dashed }, index) => {
      if (dashed) return;
      ctx.fillStyle = this.colour.series[place];
      const values = plot.data[3 * index + 1];
      const end = values.findLastIndex(
        (value, at) => value != null && inside(plot.valToPos(plot.data[0][at], "x", true)),
      );
      if (end >= 0) {
        const x = plot.valToPos(plot.data[0][end], "x", true);
        const at = Math.min(x + 4 * scale, bbox.left + bbox.width - 9 * scale);
        const y = Math.max(bbox.top + 7 * scale, plot.valToPos(values[end], "y", true) - 8 * scale);
        ctx.strokeStyle = this.colour.ground;
        ctx.lineWidth = 4 * scale;
        ctx.strokeText(String(place + 1), at, y);
        ctx.fillText(String(place + 1), at, y);
      }
    });
    const each = (times, draw) => {
      for (const time of times) {
        const x = plot.valToPos(time, "x", true);
        if (inside(x)) draw(x);
      }
    };
    ctx.strokeStyle = ctx.fillStyle = this.colour.warn;
    ctx.lineWidth = 1.5 * scale;
    for (const { series, dashed } of this.group.members) {
      if (dashed) continue;
      each(
        series.times.filter((_, index) => series.delayed[index] > 0),
        (x) => {
          ctx.beginPath();
          ctx.moveTo(x, floor - 8 * scale);
          ctx.lineTo(x - 4 * scale, floor - scale);
          ctx.lineTo(x + 4 * scale, floor - scale);
          ctx.fill();
        },
      );
      each(
        series.times.filter((time, index) => series.counts[index] > 0 && isSimulated(series, time, time + width)),
        (x) => ctx.strokeRect(x - 3 * scale, bbox.top + 2 * scale, 6 * scale, 6 * scale),
      );
      each(series.faults.times, (x) => {
        ctx.beginPath();
        ctx.moveTo(x - 3.5 * scale, floor - 8 * scale);
        ctx.lineTo(x + 3.5 * scale, floor - scale);
        ctx.moveTo(x + 3.5 * scale, floor - 8 * scale);
        ctx.lineTo(x - 3.5 * scale, floor - scale);
        ctx.stroke();
      });
    }
    ctx.restore();
  }
}

// Series by unit, in the order in which the units come; texts are bands and in no chart.
export function groupsOf(series, compared) {
  const groups = new Map();
  series.forEach((each, place) => {
    if (!isNumber(each)) return;
    const unit = unitOf(each);
    if (!groups.has(unit)) groups.set(unit, { unit, members: [] });
    groups.get(unit).members.push({ series: each, place, dashed: false });
    if (compared) groups.get(unit).members.push({ series: compared[place], place, dashed: true });
  });
  return [...groups.values()];
}
