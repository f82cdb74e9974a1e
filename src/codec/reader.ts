import { ProtocolError } from "../errors.ts";
import { MALFORMED_PACKET, PAYLOAD_FORMAT_INVALID } from "../reason_codes.ts";
import { NO_BYTES } from "./writer.ts";

// Keeps U+FEFF [MQTT-1.5.3-3] and refuses what is not well-formed [MQTT-1.5.3-1].
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Up to this length, ASCII is not worth the call of a text decoder. */
const SHORT = 32;

function isShortAscii(bytes: Uint8Array): boolean {
  if (bytes.length > SHORT) return false;
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0 || bytes[i] > 0x7f) return false;
  return true;
}

/** Reads the fields of one packet; every read past the packet's end is a `ProtocolError`. */
export class Reader {
  bytes: Uint8Array = NO_BYTES;
  position = 0;
  end = 0;
  #start = 0;
  #type = "packet";
  readonly #checkPayloadFormat: boolean;

  /** Takes whether payloads are checked that are said to be text. */
  constructor(checkPayloadFormat = false) {
    this.#checkPayloadFormat = checkPayloadFormat;
  }

  /** Points the reader at the packet from `start` to `end`, whose fields begin at `position`. */
  open(bytes: Uint8Array, start: number, position: number, end: number, type: string): void {
    this.bytes = bytes;
    this.position = position;
    this.end = end;
    this.#start = start;
    this.#type = type;
  }

  get left(): number {
    return this.end - this.position;
  }

  /** Makes the error for what was read at `position`. */
  fault(what: string, position: number = this.position, reasonCode: number = MALFORMED_PACKET): ProtocolError {
    const kind = reasonCode === MALFORMED_PACKET ? "Malformed" : "Invalid";
    return new ProtocolError(
      `${kind} ${this.#type}: ${what} (byte ${position - this.#start} of the packet)`,
      reasonCode,
    );
  }

  #need(length: number, what: string): void {
    if (this.left < length) throw this.fault(`${what} needs ${length} bytes, ${this.left} are left`);
  }

  u8(what: string): number {
    this.#need(1, what);
    return this.bytes[this.position++];
  }

  u16(what: string): number {
    this.#need(2, what);
    return this.bytes[this.position++] << 8 | this.bytes[this.position++];
  }

  u32(what: string): number {
    this.#need(4, what);
    return this.u16(what) * 0x10000 + this.u16(what);
  }

  /** Reads a Packet Identifier, which is never 0 [MQTT-2.3.1-1]. */
  packetId(): number {
    const packetId = this.u16("packet identifier");
    if (packetId === 0) throw this.fault("the packet identifier is 0", this.position - 2);
    return packetId;
  }

  variableByteInteger(what: string): number {
    const start = this.position;
    let value = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.u8(what);
      value |= (byte & 0x7f) << shift;
      if (byte === 0 && shift > 0) throw this.fault(`${what} is longer than it need be`, start); // [MQTT5-1.5.5-1]
      if (byte < 0x80) return value;
    }
    throw this.fault(`${what} is longer than 4 bytes`, start);
  }

  /** Reads bytes behind a length of two bytes; they are copied. */
  binary(what: string): Uint8Array {
    const length = this.u16(`length of the ${what}`);
    this.#need(length, what);
    return this.bytes.slice(this.position, this.position += length);
  }

  /** Reads a UTF-8 Encoded String (§1.5.3). */
  string(what: string): string {
    const length = this.u16(`length of the ${what}`);
    this.#need(length, what);
    return this.text(this.position, this.position += length, what);
  }

  /** Gives the bytes from `start` to `end` as text. */
  text(start: number, end: number, what: string): string {
    const bytes = this.bytes.subarray(start, end);
    if (isShortAscii(bytes)) return Reflect.apply(String.fromCharCode, undefined, bytes);
    let text;
    try {
      text = utf8.decode(bytes);
    } catch {
      throw this.fault(`the ${what} is not well-formed UTF-8`, start);
    }
    if (text.includes("\0")) throw this.fault(`the ${what} holds U+0000`, start); // [MQTT-1.5.3-2]
    return text;
  }

  /** Checks that a payload that was just read is UTF-8 (§3.3.2.3.2), if that is asked for. */
  checkText(payload: Uint8Array): void {
    if (!this.#checkPayloadFormat) return;
    try {
      utf8.decode(payload);
    } catch {
      throw this.fault("the payload is not well-formed UTF-8", this.position - payload.length, PAYLOAD_FORMAT_INVALID);
    }
  }

  /** Checks that the packet holds nothing more. */
  finish(): void {
    if (this.left > 0) throw this.fault(`${this.left} bytes more than its fields take`);
  }
}
