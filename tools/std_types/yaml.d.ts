/** What the project uses of `@std/yaml`, with its documented signatures. */

type SchemaType = "failsafe" | "json" | "core" | "default" | "extended";

export function parse(
  content: string,
  options?: { schema?: SchemaType; allowDuplicateKeys?: boolean; onWarning?: (error: Error) => void },
): unknown;
export function stringify(data: unknown, options?: { [option: string]: unknown }): string;
