// <theme-switch>: goes through the system's colours, light and dark, and keeps the choice.
const ORDER = ["system", "light", "dark"];
const WORDS = { system: "as the system", light: "light", dark: "dark" };

class ThemeSwitch extends HTMLElement {
  connectedCallback() {
    this.button = this.querySelector("button");
    this.button.addEventListener("click", () => {
      const next = ORDER[(ORDER.indexOf(this.chosen()) + 1) % ORDER.length];
      if (next === "system") delete document.documentElement.dataset.theme;
      else document.documentElement.dataset.theme = next;
      try {
        if (next === "system") localStorage.removeItem("theme");
        else localStorage.setItem("theme", next);
      } catch {
        // Not kept, then.
      }
      this.show();
    });
    this.show();
  }

  chosen() {
    return document.documentElement.dataset.theme ?? "system";
  }

  show() {
    this.dataset.chosen = this.chosen();
    this.button.setAttribute("aria-label", `Colours: ${WORDS[this.chosen()]}`);
    this.button.title = this.button.getAttribute("aria-label");
  }
}

customElements.define("theme-switch", ThemeSwitch);
