// What takes long is asked for less often (data-costly): after more than two seconds, with an answer or without, the page
// does not ask for that part again for ten times as long. What changes meanwhile is there with a later tick of its trigger.
const LONG = 2000;
const REST = 10;
const begun = new WeakMap(); // when each request went out; the first one does before this listens, as the page begins
const rested = new WeakMap(); // until when each part is not asked for

// Before it goes out, not when it is asked for: another one may wait for the one that is under way.
document.addEventListener("htmx:before:request", (event) => {
  const { ctx } = event.detail;
  const now = performance.now();
  begun.set(ctx, now);
  if (now < (rested.get(ctx.sourceElement) ?? 0)) event.preventDefault();
});
document.addEventListener("htmx:finally:request", ({ detail: { ctx } }) => {
  if (!ctx.sourceElement?.matches?.("[data-costly]")) return;
  const now = performance.now();
  const took = now - (begun.get(ctx) ?? 0);
  if (took > LONG) rested.set(ctx.sourceElement, now + REST * took);
});
