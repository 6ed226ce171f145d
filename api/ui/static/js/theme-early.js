// Before anything is painted: the colours that were chosen, so that the page does not flash in others.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // No storage, no choice: the system's colours.
}
