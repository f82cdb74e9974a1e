import type { Packet } from "../packets.ts";

const MASK = "***";
const SECRETS: ReadonlySet<string> = new Set(["password", "authenticationData"]);

/** How much of a string or of bytes is shown, in characters. */
const SHOWN = 64;

/**
 * Describes a packet in one line: time, name and fields; long values cut, secrets as `***`.
 *
 * ```ts
 * import { formatPacket } from "@hbmqtt/client";
 *
 * const line = formatPacket("hbmqtt/0123456789abcdef", "out", { type: "PINGREQ" });
 * console.log(line); // hbmqtt/0123456789abcdef -out-> PINGREQ(ts=2026-01-31 12:00:00.000)
 * ```
 *
 * @param clientId the client identifier to begin with; in quotes, as other texts are, if something in it has to be escaped
 * @param direction `"out"` for a packet that was sent, `"in"` for one that was received
 * @param packet the packet, as the `packet` event carries it
 */
export function formatPacket(clientId: string, direction: "in" | "out", packet: Packet): string {
  const ts = new Date().toISOString().replace("T", " ").replace("Z", "");
  const { type, ...fields } = packet;
  const shown = Object.entries(fields)
    .filter(([, value]) => value !== undefined && !isEmptyObject(value))
    .map(([name, value]) => `, ${name}=${SECRETS.has(name) ? MASK : format(value)}`);
  return `${formatClientId(clientId)} ${direction === "out" ? "-out->" : "<-in--"} ${type}(ts=${ts}${shown.join("")})`;
}

/** Gives an identifier as it is, or in quotes if something in it has to be escaped. */
function formatClientId(clientId: string): string {
  return escape(clientId) === `"${clientId}"` ? clientId : quote(clientId);
}

function isEmptyObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0 &&
    !(value instanceof Uint8Array);
}

function format(value: unknown): string {
  if (value instanceof Uint8Array) return formatBytes(value);
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return `[${value.map(format).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([, value]) => value !== undefined);
    return `{${entries.map(([name, value]) => `${name}=${SECRETS.has(name) ? MASK : format(value)}`).join(", ")}}`;
  }
  return String(value);
}

function quote(text: string): string {
  return text.length <= SHOWN ? escape(text) : `${escape(text.slice(0, SHOWN))}… (${text.length} characters)`;
}

/** Writes a text in quotes, with nothing that ends the line or that a terminal obeys: JSON leaves some of it as it is. */
function escape(text: string): string {
  return JSON.stringify(text).replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function formatBytes(bytes: Uint8Array): string {
  const isCut = bytes.length > SHOWN;
  const rest = isCut ? `… (${bytes.length} bytes)` : "";
  try {
    // A character may be cut at the end: streaming leaves it out.
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, SHOWN), { stream: isCut });
    if (!/\p{Cc}/u.test(text.replace(/\s/g, ""))) return escape(text) + rest;
  } catch {
    // Not text: shown as numbers.
  }
  return `0x${[...bytes.subarray(0, SHOWN / 2)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}` +
    (bytes.length > SHOWN / 2 ? `… (${bytes.length} bytes)` : "");
}

/** Gives a packet as it may be shown to observers: with `***` for its secrets. */
export function withoutSecrets(packet: Packet): Packet {
  const mask = new TextEncoder().encode(MASK);
  const masked = { ...packet };
  if (masked.type === "CONNECT" && masked.password !== undefined) masked.password = mask;
  if ("properties" in masked && masked.properties.authenticationData !== undefined) {
    masked.properties = { ...masked.properties, authenticationData: mask };
  }
  return masked;
}
