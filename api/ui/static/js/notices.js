// Notices: dismissed by hand; one about a server that was away goes when it answers again. What is refused, or gets no
// answer, in the dialog is said in the dialog: what is behind it is not seen.
import { isBackground } from "./session.js";

const dialog = document.getElementById("dialog");
const inDialog = document.getElementById("dialog-notices");
const onPage = document.getElementById("notices");
const isOfDialog = (element) => dialog.open && dialog.contains(element);

document.addEventListener("click", (event) => {
  event.target.closest?.("[data-dismiss]")?.closest(".notice").remove();
});
document.addEventListener("htmx:before:request", ({ detail: { ctx } }) => {
  if (isOfDialog(ctx.sourceElement)) inDialog.replaceChildren();
  // An answer to what was asked before a notice came says nothing about it.
  ctx.told = document.querySelectorAll(".notices > .notice");
});
document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (ctx.hx.retarget === "#notices" && isOfDialog(ctx.sourceElement)) ctx.hx.retarget = "#dialog-notices";
  if (ctx.response.status >= 400) return;
  // What is asked for while the page loads was asked before there was any.
  ctx.told?.forEach((notice) => {
    const { status, unanswered } = notice.dataset;
    // Whether a change arrived is known no better when something is read, and what somebody asked for in vain does not
    // come by what the page asks for by itself.
    const isOver = { change: ctx.request.method !== "GET", read: !isBackground(ctx) }[unanswered];
    if (isOver ?? Number(status) >= 500) notice.remove();
  });
});
document.addEventListener("htmx:after:swap", ({ detail: { ctx } }) => {
  if (ctx.hx?.retarget === "#dialog-notices") inDialog.scrollIntoView({ block: "nearest" });
});
dialog.addEventListener("close", () => inDialog.replaceChildren());

// No answer came. What a page asks for by itself, it asks for again.
document.addEventListener("htmx:error", ({ detail: { ctx } }) => {
  if (!ctx?.request || ctx.text !== undefined || isBackground(ctx)) return;
  const { sourceElement: from } = ctx;
  const isChange = ctx.request.method !== "GET";
  const isOnce = Boolean(from.closest("form")?.elements.idempotency_key);
  const notice = document.getElementById("unanswered").content.firstElementChild.cloneNode(true);
  notice.querySelector(`[data-of="${isChange ? (isOnce ? "once" : "change") : "read"}"]`).hidden = false;
  notice.dataset.unanswered = isChange ? "change" : "read";
  const place = isOfDialog(from) ? inDialog : onPage;
  place.replaceChildren(notice);
  place.scrollIntoView({ block: "nearest" });
});
