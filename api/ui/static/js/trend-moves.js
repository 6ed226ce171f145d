// How one moves in time over charts: by mouse, wheel, fingers and keyboard. What moves has `zoom(factor, at)` and
// `pan(share)`: a share of what is shown, later where it is more than 0; `at` is where, from 0 to 1.
const STEP = 0.25;
const IN = 0.5;

export const ACTS = {
  in: (target) => target.zoom(IN, 0.5),
  out: (target) => target.zoom(1 / IN, 0.5),
  earlier: (target) => target.pan(-STEP),
  later: (target) => target.pan(STEP),
  now: (target) => target.goLive(),
};
const KEYS = {
  "+": "in",
  "=": "in",
  "-": "out",
  _: "out",
  ArrowLeft: "earlier",
  ArrowRight: "later",
  End: "now",
};

export function listenToKeys(room, target, signal) {
  room.addEventListener(
    "keydown",
    (event) => {
      const act = KEYS[event.key];
      if (!act || event.ctrlKey || event.metaKey || event.altKey || event.target !== room) return;
      event.preventDefault();
      ACTS[act](target);
    },
    { signal },
  );
}

// Where a place on the page lies in the plots: 0 at their left edge, 1 at their right one.
function shareOf(room, clientX) {
  const plot = room.querySelector(".u-over")?.getBoundingClientRect();
  return plot?.width ? Math.min(1, Math.max(0, (clientX - plot.left) / plot.width)) : 0.5;
}

export function listenToFingers(room, target, signal) {
  const fingers = new Map();
  const places = () => [...fingers.values()];
  const width = () => room.querySelector(".u-over")?.clientWidth || 1;
  room.addEventListener(
    "pointerdown",
    (event) => {
      if (event.pointerType !== "mouse") fingers.set(event.pointerId, event.clientX);
    },
    { signal },
  );
  room.addEventListener(
    "pointermove",
    (event) => {
      const before = fingers.get(event.pointerId);
      if (before === undefined) return;
      const [a, b] = places();
      fingers.set(event.pointerId, event.clientX);
      const [c, d] = places();
      if (fingers.size === 1) target.pan((before - event.clientX) / width());
      if (fingers.size === 2 && Math.abs(c - d) > 8 && Math.abs(a - b) > 8) {
        target.zoom(Math.abs(a - b) / Math.abs(c - d), shareOf(room, (c + d) / 2));
      }
    },
    { signal },
  );
  for (const name of ["pointerup", "pointercancel"]) {
    room.addEventListener(name, (event) => fingers.delete(event.pointerId), { signal });
  }
  // A wheel scrolls the page, as everywhere; with Ctrl it zooms, and sideways it moves.
  room.addEventListener(
    "wheel",
    (event) => {
      const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
      if (event.ctrlKey) target.zoom(event.deltaY > 0 ? 1.25 : 0.8, shareOf(room, event.clientX));
      else if (sideways !== 0 && Math.abs(sideways) >= Math.abs(event.shiftKey ? 0 : event.deltaY)) {
        target.pan(sideways / width());
      } else return;
      event.preventDefault();
    },
    { signal, passive: false },
  );
}
