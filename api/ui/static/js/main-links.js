// On a narrow screen links in a row scroll sideways: the one of this page is in sight.
document.querySelectorAll(":is(.main-links, .tabs) [aria-current]").forEach((link) => {
  link.scrollIntoView({ block: "nearest", inline: "center" });
});
