// One way for every form to send, to be busy and to say what is wrong.
//
// A form carries an element with role=alert for what concerns the whole of it. A field that the
// server may refuse carries data-pointer (RFC 6901) and names its error paragraph `<its id>-error`
// in aria-describedby. Every form that holds a password says method=post: should its script fail to
// load, the browser's own submit must not put the password into the address.

import { Problem } from "./http.js";
import { place } from "./pointer.js";

/** Runs `send(button)` on submit, once at a time. A Problem that it throws is shown in the form. */
export function onSubmit(form, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.ariaBusy === "true") return;
    clearErrors(form);
    form.ariaBusy = "true";
    try {
      await send(event.submitter);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      showProblem(form, error);
    } finally {
      form.ariaBusy = "false";
    }
  });
}

/** Says what was refused, each error at the field it names, and focuses the first of them. */
export function showProblem(form, error) {
  clearErrors(form);
  const fields = [...form.querySelectorAll("[data-pointer]")];
  const { placed, homeless } = place(fields.map((field) => field.dataset.pointer), error.problem.errors ?? []);
  const wrong = fields.filter((field) => placed.has(field.dataset.pointer));
  for (const field of wrong) {
    field.setAttribute("aria-invalid", "true");
    document.getElementById(`${field.id}-error`).textContent = placed.get(field.dataset.pointer);
  }
  form.querySelector("[role=alert]").textContent = [error.message, ...homeless].join(" ");
  wrong[0]?.focus();
}

export function clearErrors(form) {
  form.querySelector("[role=alert]").textContent = "";
  for (const field of form.querySelectorAll("[data-pointer][aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    document.getElementById(`${field.id}-error`).textContent = "";
  }
}
