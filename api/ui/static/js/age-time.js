// <age-time datetime="…"><time>exact</time></age-time>: shows how long ago it was, and the exact time after it.
// <lasting-time datetime="…">: how long something has lasted since then.
// <zone-clock zone="…">: the time of day in a time zone, or in UTC where the browser does not have that zone.
// Both go on by themselves, with or without a connection.
import { now } from "./clock.js";
import { readable } from "./zones.js";

const shown = new Set();

export function age(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 5) return "just now";
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

export function lasting(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d`;
}

class Ticking extends HTMLElement {
  connectedCallback() {
    // What ticks is in the shadow tree, so that a fragment that is morphed in leaves it alone.
    if (!this.shadowRoot) this.build(this.attachShadow({ mode: "open" }));
    shown.add(this);
    this.tick();
  }

  disconnectedCallback() {
    shown.delete(this);
  }

  attributeChangedCallback() {
    if (this.shadowRoot) this.tick();
  }

  write(text) {
    if (this.text.data !== text) this.text.data = text;
  }
}

class AgeTime extends Ticking {
  static observedAttributes = ["datetime"];

  build(root) {
    this.text = document.createTextNode("");
    const relative = document.createElement("span");
    relative.part = "age";
    relative.append(this.text);
    const exact = document.createElement("span");
    exact.part = "exact";
    exact.append(document.createElement("slot"));
    // A part of its own: a line may break there, and where the exact time is not shown, neither is the space.
    const space = document.createElement("span");
    space.part = "space";
    space.append(" ");
    root.append(relative, space, exact);
  }

  tick() {
    this.write(age((now() - Date.parse(this.getAttribute("datetime"))) / 1000));
  }
}

class LastingTime extends Ticking {
  static observedAttributes = ["datetime"];

  build(root) {
    this.text = document.createTextNode("");
    root.append(this.text);
  }

  tick() {
    this.write(lasting((now() - Date.parse(this.getAttribute("datetime"))) / 1000));
  }
}

class ZoneClock extends Ticking {
  static observedAttributes = ["zone"];

  build(root) {
    this.text = document.createTextNode("");
    root.append(this.text);
  }

  tick() {
    const form = {
      hour: "2-digit",
      minute: "2-digit",
      hourCycle: "h23",
      timeZone: readable(this.getAttribute("zone")),
    };
    const local = form.timeZone === this.getAttribute("zone");
    this.write(`${new Intl.DateTimeFormat("en-GB", form).format(now())} ${local ? "local" : "UTC"}`);
  }
}

customElements.define("age-time", AgeTime);
customElements.define("lasting-time", LastingTime);
customElements.define("zone-clock", ZoneClock);
setInterval(() => {
  for (const each of shown) each.tick();
}, 1000);
