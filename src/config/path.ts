/** The keys and list indices that lead to a value; none lead to the configuration itself. */
export type Path = readonly (string | number)[];

/** Gives what a path leads to, `undefined` where it leads nowhere. */
export function valueAt(value: unknown, path: Path): unknown {
  for (const part of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<string | number, unknown>)[part];
  }
  return value;
}
