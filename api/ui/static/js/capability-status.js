// <capability-status stale-at="…">: is in the state "stale" from that moment on, by the server's clock and by itself:
// without a reload, and without a connection. Styles look at the state (:state(stale)), which no morph touches.
// Without stale-at nothing goes stale: `freshness` says what there is instead.
import { now } from "./clock.js";

const shown = new Set();

class CapabilityStatus extends HTMLElement {
  static observedAttributes = ["stale-at"];

  constructor() {
    super();
    this.states = this.attachInternals().states;
  }

  connectedCallback() {
    shown.add(this);
    this.tick();
  }

  disconnectedCallback() {
    shown.delete(this);
  }

  attributeChangedCallback() {
    this.tick();
  }

  tick() {
    const stale = now() > Date.parse(this.getAttribute("stale-at"));
    if (stale) this.states.add("stale");
    else this.states.delete("stale");
  }
}

customElements.define("capability-status", CapabilityStatus);
setInterval(() => {
  for (const each of shown) each.tick();
}, 250);
