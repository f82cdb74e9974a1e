import { RejectedError } from "./errors.ts";
import type { PacketType } from "./packets.ts";

// One row for each code: its value, its name, the packets that may carry it (MQTT 5.0, §2.4).
const REASON_CODES: readonly (readonly [code: number, name: string, packets: string])[] = [
  [0x00, "Success", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK AUTH DISCONNECT"],
  [0x01, "Granted QoS 1", "SUBACK"],
  [0x02, "Granted QoS 2", "SUBACK"],
  [0x04, "Disconnect with Will Message", "DISCONNECT"],
  [0x10, "No matching subscribers", "PUBACK PUBREC"],
  [0x11, "No subscription existed", "UNSUBACK"],
  [0x18, "Continue authentication", "AUTH"],
  [0x19, "Re-authenticate", "AUTH"],
  [0x80, "Unspecified error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"],
  [0x81, "Malformed Packet", "CONNACK DISCONNECT"],
  [0x82, "Protocol Error", "CONNACK DISCONNECT"],
  [0x83, "Implementation specific error", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"],
  [0x84, "Unsupported Protocol Version", "CONNACK"],
  [0x85, "Client Identifier not valid", "CONNACK"],
  [0x86, "Bad User Name or Password", "CONNACK"],
  [0x87, "Not authorized", "CONNACK PUBACK PUBREC SUBACK UNSUBACK DISCONNECT"],
  [0x88, "Server unavailable", "CONNACK"],
  [0x89, "Server busy", "CONNACK DISCONNECT"],
  [0x8a, "Banned", "CONNACK"],
  [0x8b, "Server shutting down", "DISCONNECT"],
  [0x8c, "Bad authentication method", "CONNACK DISCONNECT"],
  [0x8d, "Keep Alive timeout", "DISCONNECT"],
  [0x8e, "Session taken over", "DISCONNECT"],
  [0x8f, "Topic Filter invalid", "SUBACK UNSUBACK DISCONNECT"],
  [0x90, "Topic Name invalid", "CONNACK PUBACK PUBREC DISCONNECT"],
  [0x91, "Packet Identifier in use", "PUBACK PUBREC SUBACK UNSUBACK"],
  [0x92, "Packet Identifier not found", "PUBREL PUBCOMP"],
  [0x93, "Receive Maximum exceeded", "DISCONNECT"],
  [0x94, "Topic Alias invalid", "DISCONNECT"],
  [0x95, "Packet too large", "CONNACK DISCONNECT"],
  [0x96, "Message rate too high", "DISCONNECT"],
  [0x97, "Quota exceeded", "CONNACK PUBACK PUBREC SUBACK DISCONNECT"],
  [0x98, "Administrative action", "DISCONNECT"],
  [0x99, "Payload format invalid", "CONNACK PUBACK PUBREC DISCONNECT"],
  [0x9a, "Retain not supported", "CONNACK DISCONNECT"],
  [0x9b, "QoS not supported", "CONNACK DISCONNECT"],
  [0x9c, "Use another server", "CONNACK DISCONNECT"],
  [0x9d, "Server moved", "CONNACK DISCONNECT"],
  [0x9e, "Shared Subscriptions not supported", "SUBACK DISCONNECT"],
  [0x9f, "Connection rate exceeded", "CONNACK DISCONNECT"],
  [0xa0, "Maximum connect time", "DISCONNECT"],
  [0xa1, "Subscription Identifiers not supported", "SUBACK DISCONNECT"],
  [0xa2, "Wildcard Subscriptions not supported", "SUBACK DISCONNECT"],
];

const NAMES: ReadonlyMap<number, string> = new Map(REASON_CODES.map(([code, name]) => [code, name]));

const PACKETS: ReadonlyMap<number, readonly string[]> = new Map(
  REASON_CODES.map(([code, , packets]) => [code, packets.split(" ")]),
);

/** Tells whether a packet may carry a code, whichever side sends it. */
export function isReasonCodeOf(type: PacketType, reasonCode: number): boolean {
  return PACKETS.get(reasonCode)?.includes(type) ?? false;
}

export const SUCCESS = 0x00;
export const CONTINUE_AUTHENTICATION = 0x18;
export const REAUTHENTICATE = 0x19;
export const MALFORMED_PACKET = 0x81;
export const PROTOCOL_ERROR = 0x82;
export const UNSUPPORTED_PROTOCOL_VERSION = 0x84;
export const PACKET_IDENTIFIER_NOT_FOUND = 0x92;
export const TOPIC_ALIAS_INVALID = 0x94;
export const RECEIVE_MAXIMUM_EXCEEDED = 0x93;
export const PACKET_TOO_LARGE = 0x95;
export const PAYLOAD_FORMAT_INVALID = 0x99;

/** The codes of DISCONNECT that a client may send (MQTT 5.0, §3.14.2.1); the others are for a broker. */
export const CLIENT_DISCONNECTS: ReadonlySet<number> = new Set(
  [0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99],
);

/** Gives a code as people read it: `Not authorized (0x87)`. */
export function describeReasonCode(reasonCode: number): string {
  const hex = `0x${reasonCode.toString(16).toUpperCase().padStart(2, "0")}`;
  const name = NAMES.get(reasonCode);
  return name === undefined ? hex : `${name} (${hex})`;
}

/** The same with the words of the peer, where it gave some. */
export function describeReason(reasonCode: number, reasonString: string | undefined): string {
  return describeReasonCode(reasonCode) + (reasonString === undefined ? "" : `, ${reasonString}`);
}

/** Gives the error for what the broker has said no to: `what` says that it has. */
export function rejection(what: string, reasonCode: number, reasonString?: string): RejectedError {
  return new RejectedError(`${what}: ${describeReason(reasonCode, reasonString)}`, reasonCode, reasonString);
}

// The Connect Return codes of 3.1.1 (§3.2.2.3) by number, each with the reason code that means the same.
const RETURN_CODES: readonly (readonly [reasonCode: number, meaning: string])[] = [
  [0x00, "connection accepted"],
  [0x84, "unacceptable protocol version"],
  [0x85, "identifier rejected"],
  [0x88, "server unavailable"],
  [0x86, "bad user name or password"],
  [0x87, "not authorized"],
];

/** Gives the reason code that means the same as a return code of 3.1.1, `undefined` for a reserved one. */
export function reasonCodeOfReturnCode(returnCode: number): number | undefined {
  return RETURN_CODES[returnCode]?.[0];
}

/** Says what the code of a CONNACK means, and the broker's words about it. */
export function describeRefusal(returnCode: number, reasonString: string | undefined): string {
  const meaning = RETURN_CODES[returnCode]?.[1];
  const refusal = meaning === undefined ? describeReasonCode(returnCode) : `${meaning} (return code ${returnCode})`;
  return reasonString === undefined ? refusal : `${refusal}, ${reasonString}`;
}

/**
 * Refusals of a connection, and ends of one, that the same attempt, made again, cannot cure. Who connects again after another has taken
 * the session over takes it back, and so on.
 */
export const PERMANENT_REFUSALS: ReadonlySet<number> = new Set([0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x8e, 0x9d]);

/** The codes by which a broker says that the client is to go to another one (MQTT 5.0, §4.11). */
export const REDIRECTIONS: ReadonlySet<number> = new Set([0x9c, 0x9d]);
