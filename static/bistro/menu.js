// The menu as the guest reads it. Pure.

const COURSES = [
  { id: "starter", title: "Starters" },
  { id: "main", title: "Mains" },
  { id: "side", title: "Sides" },
  { id: "dessert", title: "Desserts" },
  { id: "drink", title: "Drinks" },
];

/** The courses that have dishes, in the order of a meal; courses this page does not know come last. */
export function courses(items) {
  const known = new Set(COURSES.map((course) => course.id));
  const unknown = [...new Set(items.map((item) => item.course))].filter((id) => !known.has(id));
  return [...COURSES, ...unknown.map((id) => ({ id, title: id }))]
    .map((course) => ({ ...course, items: items.filter((item) => item.course === course.id) }))
    .filter((course) => course.items.length > 0);
}

/** 750 cents and "EUR" as "€7.50". */
export const price = (cents, currency) =>
  new Intl.NumberFormat("en-GB", { style: "currency", currency }).format(cents / 100);
