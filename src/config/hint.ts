import { scalar } from "./interpretation.ts";
import type { Field } from "./fields.ts";

/** What some take for `true` and `false`; YAML 1.1 did. */
const ALMOST_BOOLEAN = /^(?:yes|no|on|off|y|n)$/i;

/** Says how a wrong value in a file can have come about and is put right, where that is not plain to see. */
export function hint(field: Field | undefined, value: unknown): string | undefined {
  if (field === undefined) return undefined;
  if (value === null) return "without a value, leave the key out";
  if (typeof value === "string") {
    if (field.kind === "boolean" && ALMOST_BOOLEAN.test(value)) return "to YAML 1.2 this is a text";
    if (field.kind === "bytes") return field.text ? undefined : "write !!binary and Base64";
    return scalar(field, value) === undefined ? undefined : "leave the quotes out";
  }
  const isScalar = typeof value === "number" || typeof value === "boolean" || value instanceof Date;
  const wantsText = field.kind === "text" || field.kind === "texts" || field.kind === "bytes";
  return isScalar && wantsText ? "put it in quotes" : undefined;
}
