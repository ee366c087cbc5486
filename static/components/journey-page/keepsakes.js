// What a reader can take along: the journey's address, and the journey itself as a file.

const SAID_FOR_MS = 2000;

export async function copyLink(button, announcer, journey) {
  const link = new URL(`/journeys/${journey.trace_id}`, location.href).href;
  let said = "Copied";
  try {
    await navigator.clipboard.writeText(link);
  } catch {
    // The browser may refuse the clipboard; the address bar holds the same link.
    said = "Copy it from the address bar";
    if (location.href !== link) history.pushState(null, "", link);
  }
  const usual = button.dataset.usual ?? button.textContent;
  button.dataset.usual = usual;
  button.textContent = said;
  announcer.textContent = said;
  setTimeout(() => (button.textContent = usual), SAID_FOR_MS);
}

export function exportJson(journey) {
  const address = URL.createObjectURL(new Blob([JSON.stringify(journey, null, 2)], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `roundtrip-${journey.trace_id}.json`;
  link.click();
  // The download has its own hold on the blob once it has begun.
  setTimeout(() => URL.revokeObjectURL(address), SAID_FOR_MS);
}
