// On a narrow screen links in a row scroll sideways: the one of this page is in sight. The row is scrolled by hand:
// scrollIntoView() would also make the link the place that the first Tab goes on from, past "Skip to content".
document.querySelectorAll(":is(.main-links, .tabs) [aria-current]").forEach((link) => {
  const row = link.parentElement;
  const [around, own] = [row, link].map((element) => element.getBoundingClientRect());
  row.scrollLeft += own.left + own.width / 2 - (around.left + around.width / 2);
});
