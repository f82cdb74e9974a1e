import { ConfigError } from "../errors.ts";
import type { Properties } from "../properties.ts";
import type { ClientConfig, TopicConfig, UserProperties, WillConfig } from "./client_config.ts";
import { findFaults, formatFault } from "./faults.ts";
import { FIELDS, type FieldTable } from "./fields.ts";
import { masked } from "./secrets.ts";

const DEFAULTS = defaultsOf(FIELDS);
const WILL_DEFAULTS = defaultsOf(FIELDS.will.fields);

/** The keys that have a default. */
type KeyWithDefault = keyof typeof DEFAULTS;

/** A configuration with all defaults filled in. It is frozen. */
export interface ResolvedConfig
  extends
    Readonly<Required<Pick<ClientConfig, KeyWithDefault>>>,
    Readonly<Omit<ClientConfig, KeyWithDefault | "broker" | "uri" | "topics" | "will" | "user_properties">> {
  /** The brokers to try, in order; none when none is configured. */
  readonly uri: readonly string[];
  /** What is configured for single topics, by topic name. */
  readonly topics: ReadonlyMap<string, Readonly<TopicConfig>>;
  /** The will, if there is one. */
  readonly will?: ResolvedWill;
  /** The pairs, in order. */
  readonly user_properties?: [string, string][];
}

/** A will with all defaults filled in. */
export interface ResolvedWill extends Readonly<Required<Omit<WillConfig, "properties">>> {
  /** The properties as CONNECT carries them. */
  readonly properties: Properties;
}

/**
 * Checks that a value is a configuration, and gives it back as one.
 *
 * @throws {ConfigError} If it is not; the message has a line for each fault, with its key, what was found and what is allowed
 */
export function checkConfig(value: unknown): ClientConfig {
  const faults = findFaults(value);
  if (faults.length === 0) return value as ClientConfig;
  throw new ConfigError(["The configuration is not valid:", ...faults.map(formatFault)].join("\n  "));
}

/**
 * Fills in the defaults, puts what is under `broker` in its place, and brings what may be written in several ways into one form.
 * The result is frozen and shares nothing with the configuration, whose later changes have no effect on it.
 *
 * @param config a configuration that {@linkcode checkConfig} has passed
 */
export function resolveConfig(config: ClientConfig): ResolvedConfig {
  const { broker = {}, ...given } = copyOf(config);
  const { uri = [], topics = {}, will, user_properties, ...rest } = { ...copyOf(broker), ...given };
  return deepFreeze({
    ...DEFAULTS,
    ...rest,
    uri: typeof uri === "string" ? [uri] : uri,
    topics: new Map(Object.entries(topics)),
    will: will && resolveWill(will),
    user_properties: user_properties && pairsOf(user_properties),
  });
}

/** Gives what differs from the defaults, in the form of a configuration, with `***` for secrets. */
export function summarizeConfig({ uri, topics, ...config }: ResolvedConfig): Record<string, unknown> {
  const defaults: Record<string, unknown> = DEFAULTS;
  const own = Object.entries(config).filter(([key, value]) => value !== undefined && value !== defaults[key]);
  return masked({
    ...uri.length > 0 && { uri: uri.length > 1 ? uri : uri[0] },
    ...Object.fromEntries(own),
    ...topics.size > 0 && { topics: Object.fromEntries(topics) },
  });
}

function resolveWill(will: WillConfig): ResolvedWill {
  const { properties = {}, ...given } = copyOf(will);
  const { userProperties, ...rest } = copyOf(properties);
  return {
    ...WILL_DEFAULTS,
    ...given,
    properties: userProperties ? { ...rest, userProperties: pairsOf(userProperties) } : rest,
  };
}

function pairsOf(properties: UserProperties): [string, string][] {
  return Array.isArray(properties) ? properties : Object.entries(properties);
}

/** The defaults of a table, by key. */
type DefaultsOf<Table> = {
  [K in keyof Table as Table[K] extends { readonly default: unknown } ? K : never]: Table[K] extends
    { readonly default: infer Default } ? Default : never;
};

function defaultsOf<Table extends FieldTable>(table: Table): DefaultsOf<Table> {
  const defaults: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(table)) if ("default" in field) defaults[key] = field.default;
  return defaults as DefaultsOf<Table>;
}

/** Copies a mapping and everything in it, but for what is `undefined`, so that it does not take the place of a default. */
function copyOf<T extends object>(mapping: T): T {
  const copy: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(mapping)) {
    if (value !== undefined) copy[key] = typeof value === "object" ? structuredClone(value) : value;
  }
  return copy as T;
}

/** Freezes everything in a value but bytes, which JavaScript cannot freeze. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  for (const part of value instanceof Map ? value.values() : Object.values(value)) deepFreeze(part);
  return Object.freeze(value);
}
