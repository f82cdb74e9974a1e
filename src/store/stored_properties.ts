import { NO_PROPERTIES, type Properties } from "../properties.ts";

/** Stands for bytes in JSON. */
interface Base64 {
  base64: string;
}

/** Writes properties as text for a store, `null` if there are none. */
export function encodeProperties(properties: Properties): string | null {
  if (properties === NO_PROPERTIES) return null;
  // Not by a replacer, which gets a `Buffer` as what its `toJSON()` makes of it.
  const entries = Object.entries(properties).map(([name, value]) =>
    [name, value instanceof Uint8Array ? { base64: value.toBase64() } satisfies Base64 : value] as const
  );
  return entries.length === 0 ? null : JSON.stringify(Object.fromEntries(entries));
}

/** Reads what {@linkcode encodeProperties} has written. */
export function decodeProperties(text: string | null): Properties {
  if (text === null) return NO_PROPERTIES;
  return JSON.parse(text, (_, value) => isBase64(value) ? Uint8Array.fromBase64(value.base64) : value);
}

/** No property is an object otherwise: they are numbers, strings, and lists of these. */
function isBase64(value: unknown): value is Base64 {
  return typeof value === "object" && value !== null && "base64" in value;
}
