// Copies the text of what [data-copy] names, and says so for a while on the button itself.
const SAID_MS = 2000;

async function copy(element) {
  try {
    await navigator.clipboard.writeText(element.textContent);
  } catch {
    // Without the right to write it is selected, so that a key copies it. Over plain HTTP there is no clipboard.
    getSelection().selectAllChildren(element);
    return document.execCommand("copy");
  }
  return true;
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  const source = button && document.querySelector(button.dataset.copy);
  if (!source || !(await copy(source))) return;
  const words = button.querySelector("[data-copied]");
  const before = words.textContent;
  if (before === words.dataset.copied) return;
  words.textContent = words.dataset.copied;
  setTimeout(() => {
    words.textContent = before;
  }, SAID_MS);
});
