import { count, us, withUs } from "../../lib/format.js";
import { sum } from "../trip.js";
import { code, facts, raw, table } from "./sections.js";

/** What was asked of the database, how it went about it, and what waiting came before. */
export function dataFacts(reader) {
  const queries = queriesOf(reader.having("db.query.text"));
  const system = reader.take("db.system.name");
  for (const name of ["db.query.plan", "db.response.returned_rows", "db.rows_changed", "roundtrip.data.runs"]) reader.take(name);
  return [
    cacheFacts(reader),
    facts("Pool and writer", [
      ["Database", system],
      ["Pool", pool(reader)],
      ["Writer waited", timeOr(reader.take("roundtrip.writer.wait_us"))],
      ["Written together", batch(reader.take("roundtrip.writer.batch"))],
    ]),
    facts("N+1", repeated(reader)),
    table("Statements", [{ label: "Step" }, { label: "Rows" }, { label: "µs", number: true }], queries.map((query) => ({
      cells: [query.times > 1 ? `${query.name} (${query.times} times)` : query.name, rows(query), us(query.duration_us)],
    }))),
    ...queries.flatMap((query) => [
      raw(`SQL: ${query.name}`, query.text, true),
      raw("Plan", query.plan, true),
    ]),
  ];
}

/** The same statement run many times is told once. */
function queriesOf(spans) {
  const byText = new Map();
  for (const span of spans) {
    const text = span.attributes["db.query.text"];
    byText.set(text, [...(byText.get(text) ?? []), span]);
  }
  return [...byText].map(([text, same]) => ({
    text,
    name: same[0].name,
    times: same.length,
    plan: same.map((span) => span.attributes["db.query.plan"]).find(Boolean)?.join("\n"),
    returned: total(same, "db.response.returned_rows"),
    changed: total(same, "db.rows_changed"),
    duration_us: sum(same.map((span) => span.duration_us)),
  }));
}

/** Reads that ran so often that one statement should bring all their rows. */
function repeated(reader) {
  const told = reader.having("roundtrip.data.repeated").flatMap((span) => span.attributes["roundtrip.data.repeated"]);
  return [...new Set(told)].map((text) => ["Repeated", text]);
}

function total(spans, name) {
  const numbers = spans.map((span) => span.attributes[name]).filter(Number.isFinite);
  return numbers.length === 0 ? undefined : sum(numbers);
}

const rows = ({ returned, changed }) =>
  [returned === undefined ? null : `${count(returned, "row")} read`, changed === undefined ? null : `${count(changed, "row")} changed`]
    .filter(Boolean).join(", ");

function cacheFacts(reader) {
  const key = reader.take("roundtrip.cache.key");
  const hit = reader.take("roundtrip.cache.hit");
  const bypassed = reader.take("roundtrip.cache.bypassed");
  const age_ms = reader.take("roundtrip.cache.age_ms");
  const age = age_ms === undefined ? "" : `, ${count(age_ms, "ms", "ms")} old`;
  return facts("Cache", [
    ["Key", key && code(key)],
    ["Answer", bypassed ? "bypassed" : hit === undefined ? undefined : hit ? `hit${age}` : "miss"],
  ]);
}

function pool(reader) {
  const wait_us = reader.take("roundtrip.pool.wait_us");
  const size = reader.take("roundtrip.pool.size");
  const inUse = reader.take("roundtrip.pool.in_use");
  const parts = [
    size === undefined ? null : inUse === undefined ? count(size, "connection") : `${inUse} of ${count(size, "connection")} in use`,
    wait_us === undefined ? null : `waited ${withUs(wait_us)}`,
  ];
  return parts.filter(Boolean).join(", ");
}

const timeOr = (value_us) => (value_us === undefined ? undefined : withUs(value_us));
const batch = (number) => (number === undefined ? undefined : count(number, "request"));
