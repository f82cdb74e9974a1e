import { ConfigError, messageOf } from "../errors.ts";
import type { ClientConfig } from "./client_config.ts";
import { type Fault, findFaults, formatFault } from "./faults.ts";
import { fieldAt } from "./fields.ts";
import { hint } from "./hint.ts";
import { interpret, type Interpretation } from "./interpretation.ts";
import type { Position } from "./outline.ts";
import { type Path, valueAt } from "./path.ts";
import { maskWhenShown } from "./secrets.ts";
import { readYaml } from "./yaml.ts";

/** A fault, and where it is in the file. */
interface PlacedFault {
  readonly position?: Position;
  readonly message: string;
}

/** Many times more than a configuration needs, and little enough to be read at once. */
const MOST_BYTES = 1024 * 1024;
const MOST_FAULTS = 100;
const START: Position = { line: 0, column: 0 };

/**
 * Reads a configuration from a YAML file.
 *
 * Relative paths in it (`cafile`, `capath`, `certfile`, `keyfile`, `store`, and the socket of a `unix:` URI) are relative to the folder
 * that it is in. `${NAME}` in a value stands for an environment variable, `${NAME:-default}` for one that may be unset or empty, and `$${`
 * for `${` itself; the environment is asked for these variables only. What the configuration keeps secret is shown as `***` when it is
 * printed, inspected or written as JSON.
 *
 * ```ts
 * import { loadConfig, MQTTClient } from "@hbmqtt/client";
 *
 * const config = await loadConfig("client.yaml");
 * await using client = new MQTTClient({ config: { ...config, keep_alive: 60 } });
 * ```
 *
 * @param path the file, of at most 1 MiB; a URL must be a `file:` URL
 * @throws {ConfigError} If the file cannot be read or is not a valid configuration; the message names all its faults, each with file, line,
 * column and key
 * @throws {TypeError} If `path` is neither a string nor a `file:` URL.
 */
export async function loadConfig(path: string | URL): Promise<ClientConfig> {
  const file = pathOf(path);
  return configFrom(await readText(file), file);
}

/**
 * Reads a configuration from a YAML text, as {@linkcode loadConfig} does from a file. Relative paths stay as they are.
 *
 * @param text the YAML, of at most 1 Mi characters
 * @throws {ConfigError} If it is not a valid configuration; the message names all its faults, each with line, column and key
 * @throws {TypeError} If `text` is not a string.
 */
export function parseConfig(text: string): ClientConfig {
  if (typeof text !== "string") throw new TypeError(`A configuration must be a string, not ${typeof text}`);
  if (text.length > MOST_BYTES) throw tooLarge("The configuration");
  return configFrom(text);
}

function configFrom(text: string, file?: string): ClientConfig {
  const { value, outline, faults } = readYaml(text);
  const placed: PlacedFault[] = faults.map(({ position, path, message }) => ({
    position,
    message: path === undefined ? message : formatFault({ path, message }),
  }));
  if (value === undefined) {
    if (placed.length === 0) {
      placed.push({ message: "there is nothing in it; {} is a configuration with all defaults" });
    }
    throw invalid(placed, file);
  }
  const interpretation = interpret(value, file === undefined ? undefined : folderOf(file));
  for (const fault of allFaults(interpretation)) {
    placed.push({ position: outline.find(fault.path), message: formatFault(fault) });
  }
  if (placed.length > 0) throw invalid(placed, file);
  return maskWhenShown(interpretation.value as ClientConfig);
}

function allFaults({ value, faults, fromEnvironment }: Interpretation): Fault[] {
  const keyOf = (path: Path) => JSON.stringify(path);
  const known = new Set(faults.map(({ path }) => keyOf(path)));
  const hidden = new Set(fromEnvironment.map(keyOf));
  const others = findFaults(value, MOST_FAULTS + 1)
    .filter(({ path, found }) => found === undefined || !known.has(keyOf(path)));
  return [
    ...faults,
    ...others.map((fault) => hidden.has(keyOf(fault.path)) ? withoutValue(fault) : withHint(fault, value)),
  ];
}

/** Leaves out what the environment gave: what does not fit may be a password in the wrong place. */
function withoutValue({ path, message, found }: Fault): Fault {
  return { path, message: message.replace(`found ${found}`, "found a value from the environment") };
}

function withHint(fault: Fault, config: unknown): Fault {
  const { path, message, found } = fault;
  const advice = found === undefined ? undefined : hint(fieldAt(path), valueAt(config, path));
  return advice === undefined ? fault : { path, message: `${message} (${advice})` };
}

function invalid(faults: PlacedFault[], file: string | undefined): ConfigError {
  faults.sort(({ position: a = START }, { position: b = START }) => a.line - b.line || a.column - b.column);
  const lines = faults.slice(0, MOST_FAULTS).map((fault) => `${where(fault, file)}${fault.message}`);
  if (faults.length > MOST_FAULTS) lines.push("and more");
  return new ConfigError([`${file ?? "The configuration"} is not valid:`, ...lines].join("\n  "));
}

function where({ position }: PlacedFault, file: string | undefined): string {
  if (file === undefined) return position === undefined ? "" : `line ${position.line}, column ${position.column}: `;
  return position === undefined ? `${file}: ` : `${file}:${position.line}:${position.column}: `;
}

function tooLarge(what: string): ConfigError {
  return new ConfigError(`${what} is larger than ${MOST_BYTES} bytes, which no configuration needs`);
}

// The file.

function pathOf(path: string | URL): string {
  if (typeof path === "string") return path;
  if (!(path instanceof URL)) {
    throw new TypeError(`The path of a configuration must be a string or a URL, not ${typeof path}`);
  }
  if (path.protocol !== "file:") {
    throw new TypeError(`Cannot load ${path.protocol} URLs: give the URL or the path of a file`);
  }
  try {
    const decoded = decodeURIComponent(path.pathname);
    return Deno.build.os === "windows" ? decoded.slice(1) : decoded;
  } catch (cause) {
    throw new ConfigError(`Cannot read ${path}: it holds a % that starts no percent-encoded UTF-8`, { cause });
  }
}

function folderOf(file: string): string {
  const isAbsolute = /^(?:[/\\]|[a-z]:)/i.test(file);
  const path = isAbsolute ? file : `${Deno.cwd()}/${file}`;
  return path.replace(Deno.build.os === "windows" ? /[/\\][^/\\]*$/ : /\/[^/]*$/, "");
}

async function readText(file: string): Promise<string> {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await readBytes(file));
  } catch (cause) {
    if (cause instanceof ConfigError) throw cause;
    throw new ConfigError(`Cannot read ${file}: ${reason(file, cause)}`, { cause });
  }
}

function reason(file: string, error: unknown): string {
  if (error instanceof TypeError) return "it is not UTF-8";
  if (error instanceof Deno.errors.NotCapable) return `run with --allow-read=${file}`;
  return messageOf(error);
}

/** Reads no more than may be in a file, which may be one without an end. */
async function readBytes(path: string): Promise<Uint8Array> {
  using file = await Deno.open(path);
  const buffer = new Uint8Array(MOST_BYTES + 1);
  let length = 0;
  for (let count = await file.read(buffer); count !== null; count = await file.read(buffer.subarray(length))) {
    length += count;
    if (length > MOST_BYTES) throw tooLarge(path);
  }
  return buffer.subarray(0, length);
}
