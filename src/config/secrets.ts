import { maskedUri } from "../endpoint.ts";
import { type Field, FIELDS, type FieldTable } from "./fields.ts";

/** What stands for a secret. */
const MASK = "***";

/** Gives a copy of a configuration, or of a part of it, that is fit to be shown. */
export function masked(mapping: object, table: FieldTable = FIELDS): Record<string, unknown> {
  const entries = Object.entries(mapping);
  return Object.fromEntries(entries.map(([key, value]) => [key, maskedValue(value, fieldOf(table, key))]));
}

/**
 * Makes a configuration show {@linkcode masked} values when it is printed, inspected or written as JSON. All else finds it as it was: its
 * secrets can be read, and a copy has them.
 */
export function maskWhenShown<T extends object>(mapping: T, table: FieldTable = FIELDS): T {
  const hide = (key: string | symbol, value: unknown) => Object.defineProperty(mapping, key, { value });
  hide("toJSON", () => masked(mapping, table));
  hide(
    Symbol.for("Deno.customInspect"),
    (inspect: Inspect, options: unknown) => inspect(masked(mapping, table), options),
  );
  hide(Symbol.for("nodejs.util.inspect.custom"), () => masked(mapping, table));
  for (const [key, value] of Object.entries(mapping)) {
    const field = fieldOf(table, key);
    if (field?.kind === "mapping") maskWhenShown(value, field.fields);
  }
  return mapping;
}

/** Writes a value as `Deno.inspect` does. */
export type Inspect = (value: unknown, options: unknown) => string;

function fieldOf(table: FieldTable, key: string): Field | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

function maskedValue(value: unknown, field: Field | undefined): unknown {
  if (value === undefined || field === undefined) return value;
  if (field.kind === "mapping") return typeof value === "object" && value !== null ? masked(value, field.fields) : MASK;
  if (!field.secret) return value;
  if (field.kind !== "texts") return MASK;
  return Array.isArray(value) ? value.map(maskedText) : maskedText(value);
}

function maskedText(uri: unknown): string {
  return typeof uri === "string" ? maskedUri(uri) : MASK;
}
