// <upload-form>: sends the file of its form to the API and shows how much of it has gone. Without this script the form
// sends itself.
import { askToSignIn, proof, refuseOther } from "./session.js";

class UploadForm extends HTMLElement {
  connectedCallback() {
    const form = this.querySelector("form");
    form.addEventListener("submit", (event) => {
      const [file] = form.elements.file.files;
      // A form without a file is answered by the page.
      if (!file) return;
      event.preventDefault();
      this.#send(form, file);
    });
  }

  #send(form, file) {
    this.#refuse("");
    if (file.size > Number(this.getAttribute("most-bytes"))) {
      this.#refuse("The file is larger than may be uploaded here. ./dev import takes larger ones.");
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", `${this.getAttribute("address")}?${new URLSearchParams({ file_name: file.name })}`);
    request.setRequestHeader("Content-Type", "application/x-ndjson");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Idempotency-Key", form.elements.idempotency_key.value);
    for (const [name, value] of Object.entries(proof())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.addEventListener("progress", ({ loaded, total }) => this.#show(loaded, total));
    request.addEventListener("load", () => this.#answered(request));
    request.addEventListener("error", () => this.#ended("The connection was lost, so nothing is imported. Try again."));
    this.#busy(true);
    this.#show(0, file.size);
    request.send(file);
  }

  #answered({ status, response }) {
    if (status === 202) {
      location.assign(`${this.getAttribute("leads-to")}/${response.import_id}`);
      return;
    }
    if (status === 401) askToSignIn();
    if (response?.code === "OTHER_PERSON_SIGNED_IN") refuseOther(response.detail);
    this.#ended(response?.detail ?? "The server did not take the file. Try again.");
  }

  #ended(reason) {
    this.#busy(false);
    this.#refuse(reason);
  }

  #busy(is) {
    this.querySelector("[data-sending]").hidden = !is;
    this.querySelector("button[type=submit]").disabled = is;
  }

  #show(sent, total) {
    const share = total ? Math.floor((100 * sent) / total) : 100;
    this.querySelector("progress").value = share;
    const text = sent < total ? `Uploading ${(total / 1e6).toFixed(1)} MB.` : "Uploaded. The import is being started.";
    const told = this.querySelector("[data-sent]");
    if (told.textContent !== text) told.textContent = text;
  }

  #refuse(reason) {
    const notice = this.querySelector("[data-refused]");
    notice.hidden = !reason;
    notice.querySelector("span").textContent = reason;
  }
}

customElements.define("upload-form", UploadForm);
