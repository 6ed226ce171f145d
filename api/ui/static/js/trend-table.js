// The table beside the charts of trends: the same buckets, the same numbers, in the same order of series.
import { element } from "./charting.js";
import { heldAt } from "./trend-bands.js";
import { figure, gapsOf, isNumber, qualityIn, unitOf } from "./trend-data.js";

const ROWS = 50; // on a page

const cell = (tag, text, scope) => Object.assign(element(tag, "", text), scope ? { scope } : {});

function column(series, width, other) {
  const place = new Map(series.times.map((time, index) => [time, index]));
  const gaps = gapsOf(series);
  const unit = unitOf(series);
  const of = (time) => {
    const index = place.get(time);
    const quality = qualityIn(series, time, time + width);
    const known = index !== undefined && series.last[index] !== null;
    if (!known) {
      const gap = index !== undefined || gaps.some(([from, to]) => from < time && time < to);
      return quality || (gap ? "gap" : "·");
    }
    let text = figure(series, isNumber(series) ? series.mean[index] : series.last[index]);
    if (isNumber(series) && series.min[index] !== series.max[index]) {
      text += ` (${figure(series, series.min[index])} to ${figure(series, series.max[index])})`;
    }
    return quality ? `${text}, ${quality}` : text;
  };
  const title = `${series.name}: ${series.meaning}${unit ? `, ${unit}` : ""}`;
  return { title: other ? `${title}, ${other}` : title, of };
}

export class TrendTable {
  constructor(room, pages) {
    this.room = room;
    this.pages = pages;
    this.page = 0;
    pages.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) this.turn(Number(button.dataset.by));
    });
  }

  // `compared`: the other day's series with their times moved, and what that day is called.
  show(answer, bands, compared, zone, moment) {
    const width = answer.bucket_seconds;
    this.columns = answer.series.flatMap((series, index) => [
      column(series, width),
      ...(compared ? [column(compared.series[index], width, compared.name)] : []),
    ]);
    this.columns.push(...bands.map((band) => ({ title: band.title, of: (time) => heldAt(band, time) ?? "·" })));
    const times = [...answer.series, ...(compared?.series ?? [])].flatMap((series) => series.times);
    this.times = [...new Set(times)].sort((a, b) => b - a);
    this.zone = zone;
    this.moment = moment;
    this.draw();
  }

  get count() {
    return Math.max(1, Math.ceil(this.times.length / ROWS));
  }

  turn(by) {
    this.page += by;
    this.draw();
    this.room.focus({ preventScroll: true });
  }

  draw() {
    if (this.times.length === 0) {
      this.room.replaceChildren(element("p", "quiet-text", "Nothing was measured in this time."));
      this.pages.replaceChildren();
      return;
    }
    this.page = Math.min(Math.max(0, this.page), this.count - 1);
    const shown = this.times.slice(this.page * ROWS, (this.page + 1) * ROWS);
    const head = element("tr", "", cell("th", `From (${this.zone})`, "col"));
    head.append(...this.columns.map((each) => cell("th", each.title, "col")));
    const rows = shown.map((time) => {
      const values = this.columns.map((each) => cell("td", each.of(time)));
      return element("tr", "", cell("th", this.moment(time * 1000), "row"), ...values);
    });
    const caption = element("caption", "visually-hidden", "Mean of each bucket, the latest first");
    this.room.replaceChildren(
      element("table", "load-table", caption, element("thead", "", head), element("tbody", "", ...rows)),
    );
    this.turns();
  }

  turns() {
    const button = (text, by, usable) => {
      const made = element("button", "quiet", text);
      made.type = "button";
      made.dataset.by = by;
      made.disabled = !usable;
      return made;
    };
    const where = element("span", "quiet-text", `Page ${this.page + 1} of ${this.count}`);
    const later = button("Later rows", -1, this.page > 0);
    const earlier = button("Earlier rows", 1, this.page < this.count - 1);
    this.pages.replaceChildren(...(this.count > 1 ? [later, where, earlier] : []));
  }
}
