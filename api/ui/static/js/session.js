// The session: every change carries its token; and where it has ended, one signs in again in another tab, while this
// page keeps what was typed.
const dialog = document.getElementById("sign-in-again");
const channel = new BroadcastChannel("manage-session");

/** What every change carries: the token of the session that holds now, and whose page this is. */
export function proof() {
  const name = "__Host-manage-csrf=";
  const found = document.cookie.split("; ").find((each) => each.startsWith(name));
  const headers = { "X-CSRF-Token": found?.slice(name.length) ?? "" };
  // The cookie follows whoever signs in in another tab. So the page says who opened it, and the server compares.
  if (dialog) headers["X-Manage-Person"] = dialog.dataset.person;
  return headers;
}

/** Whether a page asks by itself, and nobody at it. */
export function isBackground(ctx) {
  return /^(live-|every)/.test(ctx.sourceEvent?.type ?? "every");
}

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.request.method !== "GET") Object.assign(ctx.request.headers, proof());
  // What a page asks for by itself keeps no session alive.
  if (isBackground(ctx)) ctx.request.headers["X-Manage-Background"] = "true";
});

document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (ctx.response.status === 401) askToSignIn();
  if (ctx.response.headers.get("X-Manage-Problem") === "OTHER_PERSON_SIGNED_IN") refuseOther(ctx.text);
});

/** Say that the session has ended. */
export function askToSignIn() {
  if (!dialog?.open) show("ended");
}

/** Say that another person is signed in now: what one person began, another does not send. */
export function refuseOther(who = "") {
  if (!dialog) return;
  dialog.querySelector("[data-who]").textContent = who;
  show("other");
}

function show(what) {
  for (const each of ["ended", "other"])
    dialog?.querySelector(`[data-${each}]`).toggleAttribute("hidden", each !== what);
  dialog?.setAttribute("aria-labelledby", `session-${what}`);
  if (dialog && !dialog.open) dialog.showModal();
}

/** Find out whose session holds now: where a connection was lost without a reason, or somebody may be signed in again. */
export async function checkSession() {
  if (!dialog) return;
  try {
    const headers = { accept: "application/json", "X-Manage-Background": "true" };
    const answer = await fetch("/signed-in", { method: "HEAD", headers });
    if (answer.status === 401) askToSignIn();
    else if (answer.ok) goOn(answer.headers.get("X-Manage-Person"));
  } catch {
    // Nobody answers at all: that is told elsewhere.
  }
}

function goOn(person) {
  if (person !== dialog?.dataset.person) refuseOther();
  else if (dialog?.open) dialog.close();
}

channel.addEventListener("message", ({ data }) => goOn(data.person));
addEventListener("focus", () => {
  if (dialog?.open) checkSession();
});
dialog?.querySelector("[data-reload]").addEventListener("click", () => location.reload());
dialog?.addEventListener("click", ({ target }) => {
  if (target.closest("[data-later]")) dialog.close();
});

// Every page tells the others of this browser who is signed in now.
if (dialog) channel.postMessage({ person: dialog.dataset.person });
