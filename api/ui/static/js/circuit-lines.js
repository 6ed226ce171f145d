// Keys in the outline of a new depot's circuits. Each presses the button that does the same.
const KEYS = { Enter: "beside", "Alt+ArrowRight": "indent", "Alt+ArrowLeft": "outdent" };

document.addEventListener("keydown", (event) => {
  const input = event.target.closest?.("[data-line] input");
  const action = KEYS[(event.altKey ? "Alt+" : "") + event.key];
  if (!input || !action || event.ctrlKey || event.metaKey || event.isComposing) return;
  event.preventDefault();
  input.closest("[data-line]").querySelector(`[data-action="${action}"]`).click();
});
// A step that is not possible is said, not hidden; it does nothing.
document.addEventListener(
  "click",
  (event) => {
    if (event.target.closest?.("[aria-disabled=true]")) event.stopImmediatePropagation();
  },
  true,
);
