// Folds what is below a circuit away, and shows it again. Styles look at aria-expanded; a morph leaves it as it is.
document.addEventListener("click", (event) => {
  const fold = event.target.closest?.("button.fold");
  fold?.setAttribute("aria-expanded", String(fold.getAttribute("aria-expanded") !== "true"));
});
