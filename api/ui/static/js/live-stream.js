// <live-stream src="/live?topic=…">: hears what changed and tells the page, by an event `live-{kind}` that bubbles.
// htmx asks for the parts that show it (hx-trigger="live-depot from:body"). After every connection all of them are
// asked for, so nothing is missed. A connection that is lost, or that is silent, is said and made again.
import { setServerTime } from "./clock.js";
import { checkSession } from "./session.js";

const SILENCE = 15000; // three beats of the server
const LONGEST_WAIT = 10000;
const HIDDEN = 30000; // a page that nobody sees gives its connection back after so long

class LiveStream extends HTMLElement {
  connectedCallback() {
    this.kinds = new Set(
      new URL(this.getAttribute("src"), location.href).searchParams.getAll("topic").map((topic) => topic.split(":")[0]),
    );
    this.attempt = 0;
    this.seen = () => {
      clearTimeout(this.hiding);
      if (document.hidden) this.hiding = setTimeout(() => this.close(), HIDDEN);
      else if (!this.source && !this.waiting) {
        this.open();
        // Somebody else may have signed in while nobody looked at this page.
        checkSession();
      }
    };
    document.addEventListener("visibilitychange", this.seen);
    this.open();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.seen);
    this.close();
  }

  open() {
    this.close();
    const source = new EventSource(this.getAttribute("src"));
    this.source = source;
    const hear = (name, act) =>
      source.addEventListener(name, (event) => {
        this.listen();
        act?.(event.data);
      });
    hear("hello", (time) => {
      setServerTime(time);
      this.attempt = 0;
      this.say("live");
      for (const kind of this.kinds) this.tell(kind);
    });
    hear("beat", setServerTime);
    hear("changed", (kind) => this.tell(kind));
    hear("away", () => this.say("away"));
    hear("back", () => {
      this.say("live");
      for (const kind of this.kinds) this.tell(kind);
    });
    source.onerror = () => this.retry();
    this.listen();
  }

  listen() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.retry(), SILENCE);
  }

  retry() {
    this.close();
    this.say("lost");
    checkSession();
    const wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.attempt++) * (0.7 + 0.6 * Math.random());
    this.waiting = setTimeout(() => this.open(), wait);
  }

  close() {
    clearTimeout(this.silence);
    clearTimeout(this.waiting);
    this.source?.close();
    this.source = this.waiting = undefined;
  }

  tell(kind) {
    this.dispatchEvent(new CustomEvent(`live-${kind}`, { bubbles: true }));
  }

  say(state) {
    if (this.dataset.state === state) return;
    this.dataset.state = state;
    const words = { live: "Live", lost: "Retrying", away: "Waiting" };
    this.querySelector(".live-word").textContent = words[state];
    const bar = document.getElementById("connection");
    bar.textContent =
      { lost: "Connection lost, retrying …", away: "The database is unavailable, waiting for it …" }[state] ?? "";
  }
}

customElements.define("live-stream", LiveStream);
addEventListener("pagehide", () => {
  for (const each of document.querySelectorAll("live-stream")) each.close();
});
