import { ProtocolError } from "../errors.ts";
import { MALFORMED_PACKET } from "../reason_codes.ts";

// Keeps U+FEFF [MQTT-1.5.3-3] and refuses what is not well-formed [MQTT-1.5.3-1].
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads the fields of one packet; every read past the packet's end is a `ProtocolError`. */
export class Reader {
  bytes: Uint8Array = new Uint8Array(0);
  position = 0;
  end = 0;
  #start = 0;
  #type = "packet";

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
    return new ProtocolError(
      `Malformed ${this.#type}: ${what} (byte ${position - this.#start} of the packet)`,
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
    let text;
    try {
      text = utf8.decode(this.bytes.subarray(start, end));
    } catch {
      throw this.fault(`the ${what} is not well-formed UTF-8`, start);
    }
    if (text.includes("\0")) throw this.fault(`the ${what} holds U+0000`, start); // [MQTT-1.5.3-2]
    return text;
  }

  /** Checks that the packet holds nothing more. */
  finish(): void {
    if (this.left > 0) throw this.fault(`${this.left} bytes more than its fields take`);
  }
}
