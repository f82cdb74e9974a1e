import type { Dialect } from "../codec/dialect.ts";
import type { Endpoint } from "../endpoint.ts";
import { ConnectError, messageOf } from "../errors.ts";
import type { ConnectPacket, WillPacket } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { stringFault } from "../topic.ts";
import type { OpenTransport } from "../transport/transport.ts";

/** What the client logs in with. */
export interface Credentials {
  /** The user name; may be empty. */
  username?: string;
  /** The password; a string is sent as UTF-8. */
  password?: string | Uint8Array;
  /** What the authentication method says first (MQTT 5.0), where it is new for every attempt; it beats the configuration's. */
  authenticationData?: Uint8Array;
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

/** Asks for the credentials of an attempt. */
export async function credentialsOf(plan: ConnectPlan, endpoint: Endpoint): Promise<Credentials> {
  try {
    return await plan.credentials(endpoint);
  } catch (cause) {
    if (cause instanceof ConnectError) throw cause;
    throw new ConnectError(`Cannot connect to ${endpoint.uri}: credentials() failed: ${messageOf(cause)}`, { cause });
  }
}

/**
 * Makes the packet of an attempt.
 *
 * @throws {ConnectError} If the credentials cannot be sent.
 */
export function connectPacket(plan: ConnectPlan, credentials: Credentials, dialect: Dialect): ConnectPacket {
  const { username, password, authenticationData } = credentials;
  if (password !== undefined && username === undefined && !dialect.allowsPasswordAlone) {
    throw new ConnectError("Cannot send a password without a user name in MQTT 3.1.1", { permanent: true });
  }
  const bytes = typeof password === "string" ? new TextEncoder().encode(password) : password;
  const fault = username === undefined ? undefined : stringFault(username);
  if (fault !== undefined) throw new ConnectError(`Cannot send the user name: ${fault}`, { permanent: true });
  if (bytes !== undefined && bytes.length > 65_535) {
    throw new ConnectError(`Cannot send a password of ${bytes.length} bytes: 65,535 are allowed`, { permanent: true });
  }
  const { clientId, cleanStart, keepAlive } = plan;
  if (authenticationData !== undefined && plan.properties.authenticationMethod === undefined) { // §3.1.2.11.10
    throw new ConnectError("Cannot send authenticationData without authentication_method", { permanent: true });
  }
  const { protocolVersion, hasProperties } = dialect;
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
    password: bytes,
    will,
    properties,
  };
}
