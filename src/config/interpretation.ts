import { type Fault, isMapping } from "./faults.ts";
import { type Field, fieldAt } from "./fields.ts";
import type { Path } from "./path.ts";
import { expandVariables, hasVariables } from "./variables.ts";

/** What the values of a file mean. */
export interface Interpretation {
  readonly value: unknown;
  readonly faults: readonly Fault[];
  /** The places of what comes from the environment, and must not be shown. */
  readonly fromEnvironment: readonly Path[];
}

const NUMBER = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?$/i;
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["True", true],
  ["TRUE", true],
  ["false", false],
  ["False", false],
  ["FALSE", false],
]);

/**
 * Tells what the values of a file mean: replaces variables, takes relative paths as relative to the folder of the file where that is
 * given, and leaves out the keys without a value that hbmqtt takes for absent.
 */
export function interpret(value: unknown, folder?: string): Interpretation {
  const faults: Fault[] = [];
  const fromEnvironment: Path[] = [];

  const visit = (value: unknown, path: Path): unknown => {
    if (typeof value === "string") return visitText(value, path);
    if (Array.isArray(value)) return value.map((item, i) => visit(item, [...path, i]));
    if (!isMapping(value)) return value;
    const entries = Object.entries(value).filter(([key, value]) =>
      value !== null || !fieldAt([...path, key])?.nullable
    );
    return Object.fromEntries(entries.map(([key, value]) => [key, visit(value, [...path, key])]));
  };

  const visitText = (text: string, path: Path): unknown => {
    const field = fieldAt(path);
    if (!hasVariables(text)) return resolve(field, text, folder);
    const expansion = expandVariables(text);
    for (const message of expansion.problems) faults.push({ path, message });
    fromEnvironment.push(path);
    return scalar(field, expansion.text) ?? resolve(field, expansion.text, folder);
  };

  return { value: visit(value, []), faults, fromEnvironment };
}

/** Gives the number or the boolean that a text stands for where one is wanted, as YAML does for a text without quotes. */
export function scalar(field: Field | undefined, text: string): number | boolean | undefined {
  switch (field?.kind) {
    case "boolean":
      return BOOLEANS.get(text);
    case "number":
      return NUMBER.test(text) ? Number(text) : undefined;
    case "choice": {
      const meant = field.values.find((value) => String(value) === text);
      return typeof meant === "number" ? meant : undefined;
    }
  }
}

function resolve(field: Field | undefined, text: string, folder: string | undefined): string {
  if (folder === undefined || text === "" || field?.kind !== "text" && field?.kind !== "texts") return text;
  if (field.format === "path") return resolvePath(text, folder);
  const [, scheme, path] = /^(unix:)([^/].*)$/i.exec(text) ?? [];
  return field.format === "URI" && path !== undefined ? `${scheme}${resolvePath(path, folder)}` : text;
}

function resolvePath(path: string, folder: string): string {
  const isAbsolute = /^(?:[/\\]|[a-z]:)/i.test(path);
  return isAbsolute ? path : `${folder}/${path.replace(/^(?:\.\/+)+/, "")}`;
}
