// The session: every change carries its token; and where it has ended, one signs in again in another tab, while this
// page keeps what was typed.
const dialog = document.getElementById("sign-in-again");
const channel = new BroadcastChannel("manage-session");

/** The token that every change of this session carries. */
export function csrfToken() {
  const name = "__Host-manage-csrf=";
  const found = document.cookie.split("; ").find((each) => each.startsWith(name));
  return found?.slice(name.length) ?? "";
}

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (ctx.request.method !== "GET") ctx.request.headers["X-CSRF-Token"] = csrfToken();
  // What a page asks for by itself keeps no session alive.
  if (/^(live-|every)/.test(ctx.sourceEvent?.type ?? "every")) ctx.request.headers["X-Manage-Background"] = "true";
});

document.addEventListener("htmx:after:request", ({ detail: { ctx } }) => {
  if (ctx.response.status === 401) askToSignIn();
});

/** Say that the session has ended. */
export function askToSignIn() {
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

// What one person began, another does not send.
function goOn(person) {
  if (!dialog?.open) return;
  const same = person === dialog.dataset.person;
  if (same) dialog.close();
  dialog.querySelector("[data-ended]").hidden = !same;
  dialog.querySelector("[data-other]").hidden = same;
}

channel.addEventListener("message", ({ data }) => goOn(data.person));
addEventListener("focus", () => {
  if (dialog?.open) checkSession();
});
dialog?.querySelector("[data-reload]").addEventListener("click", () => location.reload());
dialog?.querySelector("[data-later]").addEventListener("click", () => dialog.close());

if (dialog && document.querySelector("[data-signed-in]")) channel.postMessage({ person: dialog.dataset.person });
