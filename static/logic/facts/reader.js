// Reads a station's attributes off its spans, and remembers which were read: the others go under "More".

export class Reader {
  #spans;
  #read = new Set();

  constructor(spans) {
    this.#spans = spans;
  }

  get spans() {
    return this.#spans;
  }

  /** The first value any span of the station gives for that name; undefined when none does. */
  take(name) {
    this.#read.add(name);
    return this.#spans.find((span) => given(span.attributes?.[name]))?.attributes[name];
  }

  /** Spans that carry the attribute. */
  having(name) {
    this.#read.add(name);
    return this.#spans.filter((span) => given(span.attributes?.[name]));
  }

  /** What nobody asked for: [name, different values as text]. */
  rest() {
    const values = new Map();
    for (const span of this.#spans) {
      for (const [name, value] of Object.entries(span.attributes ?? {})) {
        if (this.#read.has(name) || !given(value)) continue;
        values.set(name, (values.get(name) ?? new Set()).add(typeof value === "string" ? value : JSON.stringify(value)));
      }
    }
    return [...values].map(([name, different]) => [name, [...different]]);
  }
}

const given = (value) => value !== undefined && value !== null;
