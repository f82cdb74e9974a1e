import type { Dialect } from "../codec/dialect.ts";
import type { Endpoint } from "../endpoint.ts";
import { ConnectError, messageOf } from "../errors.ts";
import type { ConnectPacket, WillPacket } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { binaryFault, stringFault } from "../topic.ts";
import type { OpenTransport, Transport } from "../transport/transport.ts";

/** What the client logs in with. */
export interface Credentials {
  /** The user name; may be empty. */
  username?: string | undefined;
  /** The password; a string is sent as UTF-8. */
  password?: string | Uint8Array | undefined;
  /** What the authentication method says first (MQTT 5.0), where it is new for every attempt; it beats the configuration's. */
  authenticationData?: Uint8Array | undefined;
}

/** How to connect, kept for reconnections. Durations are in seconds. */
export interface ConnectPlan {
  /** Tried in turn; each round counts as one attempt. */
  endpoints: readonly Endpoint[];
  clientId: string;
  cleanStart: boolean;
  keepAlive: number;
  will: WillPacket | undefined;
  properties: Properties;
  open: OpenTransport;
  /** Asked before every attempt. */
  credentials(endpoint: Endpoint): Credentials | Promise<Credentials>;
}

/**
 * Asks for the credentials of an attempt.
 *
 * @throws {ConnectError} If there are none to be had.
 */
export async function credentialsOf(plan: ConnectPlan, endpoint: Endpoint): Promise<Credentials> {
  const failure = `Cannot connect to ${endpoint.uri}: credentials()`;
  let credentials: unknown;
  try {
    credentials = await plan.credentials(endpoint);
  } catch (cause) {
    if (cause instanceof ConnectError) throw cause;
    throw new ConnectError(`${failure} failed: ${messageOf(cause)}`, { cause });
  }
  if (typeof credentials === "object" && credentials !== null) return credentials;
  throw new ConnectError(`${failure} must give an object, { username, password } for instance`, { permanent: true });
}

/**
 * Makes the packet of an attempt.
 *
 * @throws {ConnectError} If the credentials cannot be sent.
 */
export function connectPacket(plan: ConnectPlan, credentials: Credentials, dialect: Dialect): ConnectPacket {
  const { username, password, authenticationData } = credentials;
  const { clientId, cleanStart, keepAlive } = plan;
  const { protocolVersion, hasProperties, allowsPasswordAlone } = dialect;
  const fault = credentialsFault(credentials);
  if (fault !== undefined) throw new ConnectError(`Cannot send ${fault}`, { permanent: true });
  if (password !== undefined && username === undefined && !allowsPasswordAlone) {
    throw new ConnectError("Cannot send a password without a user name in MQTT 3.1.1", { permanent: true });
  }
  if (authenticationData !== undefined && plan.properties.authenticationMethod === undefined) { // §3.1.2.11.10
    throw new ConnectError("Cannot send authenticationData without authentication_method", { permanent: true });
  }
  const will = plan.will && !hasProperties ? { ...plan.will, properties: NO_PROPERTIES } : plan.will;
  const given = authenticationData === undefined ? plan.properties : { ...plan.properties, authenticationData };
  const properties = hasProperties ? given : NO_PROPERTIES;
  return {
    type: "CONNECT",
    protocolVersion,
    clientId,
    cleanStart,
    keepAlive,
    username,
    password: typeof password === "string" ? new TextEncoder().encode(password) : password,
    will,
    properties,
  };
}

/** Says which of the credentials cannot be sent, and why, without showing it; `undefined` when all can. */
export function credentialsFault({ username, password, authenticationData }: Credentials): string | undefined {
  if (username !== undefined) {
    const fault = typeof username === "string" ? stringFault(username) : "it must be a string";
    if (fault !== undefined) return `the user name: ${fault}`;
  }
  if (password !== undefined) {
    const isBinary = typeof password === "string" || password instanceof Uint8Array;
    const fault = isBinary ? binaryFault(password) : "it must be a string or a Uint8Array";
    if (fault !== undefined) return `the password: ${fault}`;
  }
  if (authenticationData !== undefined) {
    const isBinary = authenticationData instanceof Uint8Array;
    const fault = isBinary ? binaryFault(authenticationData) : "it must be a Uint8Array";
    if (fault !== undefined) return `authenticationData: ${fault}`;
  }
}

/**
 * Opens the connection of an attempt.
 *
 * @throws {ConnectError} If what opens it, which may be the application's, gives no transport.
 */
export async function openTransport(plan: ConnectPlan, endpoint: Endpoint, signal: AbortSignal): Promise<Transport> {
  const transport: unknown = await plan.open(endpoint, { signal });
  if (isTransport(transport)) return transport;
  const message = `Cannot connect to ${endpoint.uri}: transport() must give an object with read(), write() and close()`;
  throw new ConnectError(message, { permanent: true });
}

function isTransport(value: unknown): value is Transport {
  const { read, write, close }: Partial<Transport> = value ?? {};
  return [read, write, close].every((method) => typeof method === "function");
}
