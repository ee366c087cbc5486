// One question before what can't be undone.

const find = (id) => document.getElementById(id);

/** Whether the reader says yes. Escape and a press on "No" are a no. */
export function ask(question) {
  const dialog = find("ask");
  find("question").textContent = question;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
