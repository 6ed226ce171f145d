// A list keeps its place: after Back the row that was opened has the focus and is in sight, and after a filter or an
// order was chosen, so has what chose it. Links lead to pages of their own, so the browser begins each at its top.
const KEY = "place-in-list";

// Where an element is, so that it is found in the same page made anew: below the nearest one that has an id.
function pathOf(element) {
  const steps = [];
  let each = element;
  for (; each && !each.id; each = each.parentElement) {
    const place = [...each.parentElement.children].indexOf(each) + 1;
    steps.unshift(`${each.localName}:nth-child(${place})`);
  }
  return each ? [`#${CSS.escape(each.id)}`, ...steps].join(" > ") : undefined;
}

const rowsNow = () => document.querySelectorAll("#results tbody > tr").length;

// Rows beyond the first come when the end of the list comes in sight, so it is shown until the wanted one is there, or as
// many as there were; or until somebody moves the page themselves.
async function find(place) {
  const results = document.getElementById("results");
  const moved = new AbortController();
  for (const kind of ["wheel", "touchstart", "pointerdown", "keydown"]) {
    addEventListener(kind, () => moved.abort(), { once: true, passive: true, signal: moved.signal });
  }
  for (;;) {
    const found = document.querySelector(place.path);
    const more = results.querySelector("[hx-trigger*=intersect]");
    if (moved.signal.aborted) return null;
    if (found || !more || rowsNow() >= place.rows) {
      moved.abort();
      return found;
    }
    const changed = new Promise((done) => {
      const watch = new MutationObserver(() => {
        watch.disconnect();
        done();
      });
      watch.observe(results, { childList: true, subtree: true });
    });
    more.scrollIntoView({ block: "nearest", behavior: "instant" });
    await changed;
  }
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#results a[href]");
  if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const place = { from: location.href, to: link.href, path: pathOf(link), top: scrollY, rows: rowsNow() };
  sessionStorage.setItem(KEY, JSON.stringify(place));
});

addEventListener("pageshow", async (event) => {
  const place = JSON.parse(sessionStorage.getItem(KEY) ?? "null");
  if (!place?.path || !document.getElementById("results")) return;
  const isBack = event.persisted || performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  if (location.href !== (isBack ? place.from : place.to)) return;
  const element = await find(place);
  if (!element) return;
  element.focus({ preventScroll: true });
  scrollTo({ top: place.top, behavior: "instant" });
  element.scrollIntoView({ block: "nearest", behavior: "instant" });
});
