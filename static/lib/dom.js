// Building the page without strings of markup: Trusted Types forbids innerHTML, and so do we.

const SVG = "http://www.w3.org/2000/svg";

/** An HTML element. `attributes` starting with "on" are listeners; false and null are left out. */
export const h = (tag, attributes = {}, ...children) => fill(document.createElement(tag), attributes, children);

/** The same for SVG. */
export const svg = (tag, attributes = {}, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, css] of Object.entries(value)) element.style.setProperty(key, css);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/**
 * Makes the children of `parent` match `items`, keeping the element of a key that stays: focus and
 * scroll survive. `create(item)` builds one element, `update(element, item)` brings it up to date.
 */
export function keyed(parent, items, key, create, update = () => {}) {
  const had = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const wanted = items.map((item) => {
    const id = String(key(item));
    const element = had.get(id) ?? create(item);
    element.dataset.key = id;
    had.delete(id);
    update(element, item);
    return element;
  });
  for (const gone of had.values()) gone.remove();
  wanted.forEach((element, index) => {
    if (parent.children[index] !== element) parent.insertBefore(element, parent.children[index] ?? null);
  });
}
