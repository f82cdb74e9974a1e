import { endpointFault } from "../endpoint.ts";
import { isPem } from "../pem.ts";
import { binaryFault, stringFault, topicFault, utf8Length } from "../topic.ts";
import {
  allowedBy,
  type BytesField,
  type Field,
  fieldAt,
  FIELDS,
  type FieldTable,
  type NumberField,
  type PairsField,
  type TextField,
  type TextFormat,
  type TextsField,
  type TopicsField,
} from "./fields.ts";
import { nearest } from "./nearest.ts";
import type { Path } from "./path.ts";

/** What is wrong at one place of a configuration. */
export interface Fault {
  /** The place; that of a missing key is where it should be. */
  readonly path: Path;
  /** What was found and what is allowed, without any secret. */
  readonly message: string;
  /** The part of the message that shows what was found, if it does. */
  readonly found?: string;
}

const LONGEST_PROTOCOL_NAME = 255;
const LONGEST_QUOTE = 64;

/** What may follow the name of a key that its colon and a space do not. */
const AFTER_NAME = /[:=\s"']/;
const SECRET_KEYS = Object.entries<Field>(FIELDS).filter(([, { secret }]) => secret).map(([key]) => key);
const SECRET_WITH_KEY = new RegExp(`(?:${SECRET_KEYS.join("|")})${AFTER_NAME.source}`, "i");

/** Gives what is wrong with a configuration, everything or not more than so many faults; a value without faults is a `ClientConfig`. */
export function findFaults(config: unknown, most = Infinity): Fault[] {
  return mappingFaults(FIELDS, config, []).take(most).toArray();
}

/** Writes a fault as one line: `will.qos: found 3, must be 0, 1 or 2`. */
export function formatFault({ path, message }: Fault): string {
  return `${formatPath(path)}: ${message}`;
}

function* mappingFaults(table: FieldTable, value: unknown, path: Path): Generator<Fault> {
  if (!isMapping(value)) {
    yield misfit(path, value, "a mapping", true); // it may be the contents of a wrong file, or user:password
    return;
  }
  for (const [key, entry] of Object.entries(value)) {
    if (!Object.hasOwn(table, key)) yield { path: [...path, key], message: unknownKey(key, table) };
    else if (entry !== undefined) yield* fieldFaults(table[key], entry, [...path, key]);
  }
  for (const key of Object.keys(table)) {
    const { required, needs } = table[key];
    const given = value[key] !== undefined;
    if (required && !given) yield { path: [...path, key], message: `is missing, must be ${allowedBy(table[key])}` };
    if (needs !== undefined && given && value[needs] === undefined) {
      yield { path: [...path, key], message: `is of no use without ${needs}` };
    }
  }
}

function unknownKey(key: string, table: FieldTable): string {
  const keys = Object.keys(table);
  const [name] = key.split(AFTER_NAME, 1); // the key of `{password:secret}` is all that is in the braces
  const unfinished = name === key ? undefined : nearest(name, keys);
  if (unfinished !== undefined) return `unknown key, did you mean ${unfinished}? A colon and a space must follow it`;
  const meant = nearest(key, keys);
  return meant === undefined ? `unknown key, allowed are ${keys.join(", ")}` : `unknown key, did you mean ${meant}?`;
}

function* fieldFaults(field: Field, value: unknown, path: Path): Generator<Fault> {
  switch (field.kind) {
    case "boolean":
      if (typeof value !== "boolean") yield misfit(path, value, allowedBy(field), field.secret);
      break;
    case "number":
      if (!isInRange(field, value)) yield misfit(path, value, allowedBy(field), field.secret);
      break;
    case "choice":
      if (!field.values.some((allowed) => allowed === value)) yield misfit(path, value, allowedBy(field), field.secret);
      break;
    case "text":
      yield* textFaults(field, value, path);
      break;
    case "texts":
      yield* textsFaults(field, value, path);
      break;
    case "bytes":
      yield* bytesFaults(field, value, path);
      break;
    case "pairs":
      yield* pairsFaults(field, value, path);
      break;
    case "mapping":
      yield* mappingFaults(field.fields, value, path);
      break;
    case "topics":
      yield* topicsFaults(field, value, path);
      break;
  }
}

function isInRange(
  { whole, min = -Infinity, above = -Infinity, max = Infinity }: NumberField,
  value: unknown,
): boolean {
  if (typeof value !== "number" || !Number.isFinite(value)) return false;
  if (whole && !Number.isInteger(value)) return false;
  return value >= min && value > above && value <= max;
}

function* textFaults(
  { format, secret, textKey }: Pick<TextField, "format" | "secret" | "textKey">,
  value: unknown,
  path: Path,
): Generator<Fault> {
  if (typeof value !== "string") {
    yield misfit(path, value, `a ${format}`, secret);
  } else if (format === "path" && isPem(value)) {
    const advice = textKey === undefined ? "" : `; ${textKey} takes the text of the file`;
    yield unfit(path, value, `a path must hold neither PEM nor line breaks${advice}`, true);
  } else {
    const reason = textFault(format, value);
    if (reason !== undefined) yield unfit(path, value, reason, secret);
  }
}

function textFault(format: TextFormat, text: string): string | undefined {
  switch (format) {
    case "string":
      return stringFault(text);
    case "topic name":
      return topicFault(text);
    case "protocol name":
      if (utf8Length(text) > LONGEST_PROTOCOL_NAME) return `at most ${LONGEST_PROTOCOL_NAME} bytes are allowed`;
      break;
    case "URI":
      if (text !== "") return endpointFault(text);
  }
  if (text === "") return `a ${format} must not be empty`;
}

function* textsFaults(field: TextsField, value: unknown, path: Path): Generator<Fault> {
  if (field.single && typeof value === "string") {
    yield* textFaults(field, value, path);
  } else if (!Array.isArray(value) || value.length === 0) {
    yield misfit(path, value, allowedBy(field), field.secret);
  } else {
    for (const [i, text] of value.entries()) yield* textFaults(field, text, [...path, i]);
  }
}

function* bytesFaults(field: BytesField, value: unknown, path: Path): Generator<Fault> {
  if (!(value instanceof Uint8Array) && !(field.text && typeof value === "string")) {
    yield misfit(path, value, allowedBy(field), field.secret);
    return;
  }
  const reason = binaryFault(value);
  if (reason !== undefined) yield unfit(path, value, reason, field.secret);
}

function* pairsFaults(field: PairsField, value: unknown, path: Path): Generator<Fault> {
  if (isMapping(value)) {
    for (const [name, text] of Object.entries(value)) {
      const reason = stringFault(name);
      if (reason !== undefined) yield { path: [...path, name], message: `a name cannot be sent: ${reason}` };
      yield* textFaults({ format: "string" }, text, [...path, name]);
    }
  } else if (Array.isArray(value)) {
    for (const [i, pair] of value.entries()) {
      if (!Array.isArray(pair) || pair.length !== 2) yield misfit([...path, i], pair, "a [name, value] pair");
      else for (const [j, text] of pair.entries()) yield* textFaults({ format: "string" }, text, [...path, i, j]);
    }
  } else yield misfit(path, value, allowedBy(field));
}

function* topicsFaults(field: TopicsField, value: unknown, path: Path): Generator<Fault> {
  if (!isMapping(value)) {
    yield misfit(path, value, allowedBy(field));
    return;
  }
  for (const [topic, entry] of Object.entries(value)) {
    const reason = topicFault(topic);
    if (reason !== undefined) yield { path: [...path, topic], message: reason };
    if (entry !== undefined) yield* mappingFaults(field.fields, entry, [...path, topic]);
  }
}

function misfit(path: Path, value: unknown, allowed: string, secret?: boolean): Fault {
  const found = describe(value, secret);
  return { path, message: `found ${found}, must be ${allowed}`, found };
}

function unfit(path: Path, value: unknown, reason: string, secret?: boolean): Fault {
  const found = describe(value, secret);
  return { path, message: `found ${found}: ${reason}`, found };
}

/** Writes a path as one would in code, but for quotes around the keys: `topics./test.qos`, `uri[1]`. */
function formatPath(path: Path): string {
  if (path.length === 0) return "configuration";
  let text = "", isSecret = false;
  for (const [i, part] of path.entries()) {
    const field = fieldAt(path.slice(0, i + 1));
    text += typeof part === "number" ? `[${part}]` : `.${isSecret ? "***" : formatKey(part, field !== undefined)}`;
    isSecret ||= field?.secret === true;
  }
  return text.replace(/^\./, "");
}

function formatKey(key: string, isKnown: boolean): string {
  if (!isKnown) key = key.replace(/([:=]).*$/s, "$1***");
  if (mayHoldPassword(key)) return "***";
  if (key.length > LONGEST_QUOTE) key = `${key.slice(0, LONGEST_QUOTE)}…`;
  return /^[^"\p{C}\p{Z}]+$/u.test(key) ? key : quote(key);
}

/** Puts a text in quotes, without anything that would end the line or change its direction. */
function quote(text: string): string {
  const escape = (character: string) => `\\u{${character.codePointAt(0)?.toString(16)}}`;
  return JSON.stringify(text).replace(/[\p{C}\u2028\u2029]/gu, escape);
}

/** Shows a value as far as it fits into a line and is no secret. */
function describe(value: unknown, secret = false): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (value instanceof Uint8Array) return "a Uint8Array";
  if (value instanceof Date) return "a date"; // what YAML makes of 2026-01-31
  if (isMapping(value)) return "a mapping";
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "object":
      return "an object of a class";
    case "number":
    case "boolean":
      return secret ? `a ${typeof value}` : String(value);
    case "string":
      return secret || value.length > LONGEST_QUOTE || mayHoldPassword(value) ? "a string" : quote(value);
    default:
      return `a ${typeof value}`;
  }
}

/** Tells whether a value is an object whose keys are its own and its contents: a literal, or what a parser makes. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** Tells whether a text may be a URI, the part of one that holds a password, or a secret with its key, that strayed to a wrong place. */
function mayHoldPassword(text: string): boolean {
  return text.includes("://") || text.includes("@") || SECRET_WITH_KEY.test(text);
}
