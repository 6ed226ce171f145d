// The one dialog: opens when htmx has put something into it, closes by Escape, by [data-close], or when it is done.
// A question (hx-confirm) is asked in it, too.
const dialog = document.getElementById("dialog");
const body = document.getElementById("dialog-body");
let opener;

function open() {
  if (!dialog.open) {
    opener = document.activeElement;
    dialog.showModal();
  }
  body.querySelector("[autofocus]")?.focus();
}

// Emptied at once, not when the event `close` comes: what is swapped in elsewhere until then would open it again.
function shut() {
  dialog.close();
  body.replaceChildren();
}

document.addEventListener("htmx:after:swap", () => {
  if (body.childElementCount > 0 && !dialog.open) open();
});
document.addEventListener("dialog-done", shut);
// The page shows what no longer holds as a whole, such as a depot in service that was retired. What is typed in the dialog
// is not taken away.
document.addEventListener("page-outdated", () => {
  if (dialog.open) dialog.addEventListener("close", () => location.reload(), { once: true });
  else location.reload();
});
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  shut();
});
dialog.addEventListener("click", (event) => {
  if (event.target === dialog || event.target.closest("[data-close]")) shut();
});
dialog.addEventListener("close", () => {
  if (dialog.open) return;
  if (!opener?.isConnected) document.querySelector("[data-home]")?.focus();
  // What opened it may be gone, with the circuit that it stood for.
  if (opener?.isConnected) opener.focus();
  else document.querySelector("#structure-title, #bindings-title")?.focus();
});

document.addEventListener("htmx:confirm", (event) => {
  const { ctx, issueRequest, dropRequest } = event.detail;
  if (!ctx.confirm) return;
  event.preventDefault();
  const make = (tag, className, text) => Object.assign(document.createElement(tag), { className, textContent: text });
  const word = ctx.sourceElement.textContent.trim();
  const title = make("h2", "", ctx.confirm);
  title.id = "dialog-title";
  const yes = Object.assign(make("button", "danger solid", word), { type: "button" });
  const back = ctx.sourceElement.dataset.no ?? "Back";
  const no = Object.assign(make("button", "quiet", back), { type: "button", autofocus: true });
  const end = make("div", "form-end", "");
  let sure = false;
  yes.addEventListener("click", () => {
    sure = true;
    shut();
  });
  no.addEventListener("click", shut);
  end.append(yes, no);
  body.replaceChildren(title, end);
  dialog.addEventListener("close", () => (sure ? issueRequest() : dropRequest()), { once: true });
  open();
});
