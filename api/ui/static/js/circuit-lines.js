// Keys in the outline of a new depot's circuits. Each presses the button that does the same.
const AGAIN_MS = 30;
const KEYS = { Enter: "beside", "Alt+ArrowRight": "indent", "Alt+ArrowLeft": "outdent" };

// While a changed outline is on its way, the row that one types for is not there yet: what is typed waits for it.
// Undefined: none is on its way. Else the keys, a text or the name of an action each.
let waiting;
let typedIn;
let before;
let asked = false;
const swaps = new MutationObserver(() => {
  if (before.isConnected) return;
  const next = document.querySelector("#circuits [autofocus]");
  // Focused here and now, for what is typed moves on from there.
  next?.removeAttribute("autofocus");
  next?.focus();
  replay();
});

const actionOf = (event) =>
  event.ctrlKey || event.metaKey ? undefined : KEYS[(event.altKey ? "Alt+" : "") + event.key];
const isOutline = (element) => Boolean(element?.closest?.("#circuits"));

function press(line, action) {
  const button = line.querySelector(`[data-action="${action}"]`);
  if (button.getAttribute("aria-disabled") === "true") return;
  begin();
  ask(button);
}

// While the answer before is still being put in its place, htmx drops what is asked for: it is asked again.
function ask(button) {
  asked = false;
  button.click();
  setTimeout(() => {
    if (!asked && button.isConnected) ask(button);
  }, AGAIN_MS);
}

function begin() {
  waiting ??= [];
  before = document.getElementById("circuits");
  swaps.observe(before.parentElement, { childList: true });
}

function type(input, text) {
  input.setRangeText(text, input.selectionStart, input.selectionEnd, "end");
}

// Types what waited into the row that has come, up to the key that asks for the next one.
function replay() {
  const keys = waiting ?? [];
  waiting = undefined;
  swaps.disconnect();
  const focused = document.activeElement?.matches?.("[data-line] input") ? document.activeElement : undefined;
  let input = focused ?? (typedIn && document.getElementById(typedIn));
  typedIn = undefined;
  if (!input || keys.length === 0) return;
  input.focus();
  while (keys.length > 0) {
    const { text, action, key } = keys.shift();
    if (action) {
      press(input.closest("[data-line]"), action);
      // After a step that is not possible it goes on where it stands.
      if (waiting) {
        waiting.push(...keys);
        return;
      }
    } else if (key === "Backspace") {
      if (input.selectionStart === input.selectionEnd && input.selectionStart > 0) input.selectionStart -= 1;
      type(input, "");
    } else if (key === "Tab") {
      input = input.closest("[data-line]").querySelector("input[name=circuit_kilowatts]");
      input.focus();
    } else {
      type(input, text);
    }
  }
}

function keep(event, key) {
  event.preventDefault();
  event.stopPropagation();
  typedIn ??= event.target.id;
  waiting.push(key);
}

document.addEventListener(
  "keydown",
  (event) => {
    if (!waiting || event.isComposing || !(isOutline(event.target) || event.target === document.body)) return;
    const action = actionOf(event);
    if (action) keep(event, { action });
    else if (event.ctrlKey || event.metaKey || event.altKey) return;
    else if (event.key.length === 1) keep(event, { text: event.key });
    else if (event.key === "Backspace" || (event.key === "Tab" && !event.shiftKey)) keep(event, { key: event.key });
  },
  true,
);
document.addEventListener(
  "paste",
  (event) => {
    if (waiting && isOutline(event.target)) keep(event, { text: event.clipboardData.getData("text/plain") });
  },
  true,
);
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (!isOutline(ctx.sourceElement)) return;
  asked = true;
  begin();
});
// Where no answer came, it is typed into the row that is there.
for (const failure of ["htmx:error", "htmx:response:error"]) {
  document.addEventListener(failure, ({ detail: { ctx } }) => {
    if (waiting && isOutline(ctx?.sourceElement)) replay();
  });
}

document.addEventListener("keydown", (event) => {
  const input = event.target.closest?.("[data-line] input");
  const action = actionOf(event);
  if (!input || !action || event.isComposing) return;
  event.preventDefault();
  press(input.closest("[data-line]"), action);
});
// A step that is not possible is said, not hidden; it does nothing.
document.addEventListener(
  "click",
  (event) => {
    if (event.target.closest?.("[aria-disabled=true]")) event.stopImmediatePropagation();
  },
  true,
);
