// Notices: dismissed by hand; one about a server that was away goes when it answers again.
document.addEventListener("click", (event) => {
  event.target.closest?.("[data-dismiss]")?.closest(".notice").remove();
});
document.addEventListener("htmx:after:request", (event) => {
  if (event.detail.ctx.response.status >= 400) return;
  document.querySelectorAll("#notices .notice").forEach((notice) => {
    if (Number(notice.dataset.status) >= 500) notice.remove();
  });
});
