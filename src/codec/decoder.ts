import { ProtocolError } from "../errors.ts";
import type { Packet, PacketType } from "../packets.ts";
import { MALFORMED_PACKET, PACKET_TOO_LARGE } from "../reason_codes.ts";
import { readAuth, readConnack, readConnect, readDisconnect } from "./connect.ts";
import type { Dialect } from "./dialect.ts";
import { readAcknowledgement, readPublish } from "./publish.ts";
import { Reader } from "./reader.ts";
import { readSuback, readSubscribe, readUnsuback, readUnsubscribe } from "./subscribe.ts";
import { TopicCache } from "./topic_cache.ts";
import { NO_BYTES } from "./writer.ts";

/** The names of the types 1…15, and the flags that are fixed for them (§2.2.1, §2.2.2). */
const TYPES: readonly (PacketType | undefined)[] = [
  undefined,
  "CONNECT",
  "CONNACK",
  "PUBLISH",
  "PUBACK",
  "PUBREC",
  "PUBREL",
  "PUBCOMP",
  "SUBSCRIBE",
  "SUBACK",
  "UNSUBSCRIBE",
  "UNSUBACK",
  "PINGREQ",
  "PINGRESP",
  "DISCONNECT",
  "AUTH",
];
const hasFlag1 = (type: number) => type === 6 || type === 8 || type === 10;

/** The longest fixed header: a byte, and four of Remaining Length. */
const LONGEST_HEADER = 5;

/** A packet up to this size gets its whole buffer at once; that of a larger one is at most so many times what has arrived. */
const TRUSTED_SIZE = 64 * 1024;
const TRUSTED_FACTOR = 64;

/** With this much of a packet to come, it pays to have it read straight into the packet's buffer. */
const LARGE_REST = 64 * 1024;

/** Turns the bytes of a connection, in chunks of any size, into packets. */
export class Decoder {
  readonly #dialect: Dialect;
  readonly #maximumPacketSize: number;
  readonly #reader: Reader;
  readonly #topics = new TopicCache();
  #chunk: Uint8Array = NO_BYTES;
  #position = 0;
  #chunkIsOurs = false;
  /** The start of a packet that is not complete, and how much of the buffer is filled. */
  #partial = NO_BYTES;
  #filled = 0;
  #size = 0; // of the packet in #partial, 0 while its header is not complete

  /** Takes the dialect, the size of the largest packet to accept in bytes, and whether a payload that is said to be UTF-8 must be. */
  constructor(dialect: Dialect, maximumPacketSize: number = Infinity, checkPayloadFormat = false) {
    this.#dialect = dialect;
    this.#maximumPacketSize = maximumPacketSize;
    this.#reader = new Reader(checkPayloadFormat);
  }

  /** Where the next bytes are best read to, since they belong to a large packet; `undefined` where that makes no difference. */
  get room(): Uint8Array | undefined {
    if (this.#size - this.#filled < LARGE_REST) return undefined;
    if (this.#filled === this.#partial.length) this.#grow(this.#filled + 1);
    return this.#partial.subarray(this.#filled);
  }

  /**
   * Takes the next bytes, after {@linkcode next} has given `null`. They must hold until it does so again, unless they were read to
   * the {@linkcode room}.
   */
  push(chunk: Uint8Array): void {
    const inPlace = chunk.buffer === this.#partial.buffer && this.#filled > 0;
    if (inPlace) this.#filled += chunk.length;
    this.#chunk = inPlace ? NO_BYTES : chunk;
    this.#position = 0;
    this.#chunkIsOurs = false;
  }

  /**
   * Gives the next packet, `null` when more bytes are needed for it.
   *
   * @throws {ProtocolError} If the bytes are not MQTT; the decoder is of no use then.
   */
  next(): Packet | null {
    if (this.#filled > 0) return this.#nextOfPartial();
    const chunk = this.#chunk, start = this.#position;
    if (start === chunk.length) return null;
    const first = chunk[start];
    let position = start + 1;
    let remainingLength = 0;
    for (let shift = 0;; shift += 7) {
      if (position === chunk.length) return this.#keep(0);
      const byte = chunk[position++];
      remainingLength |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
      if (shift === 21) throw tooLong(first);
      if (chunk[position] === 0) this.#checkLongLength(first);
    }
    const end = position + remainingLength;
    this.#checkHeader(first, end - start);
    if (end > chunk.length) return this.#keep(end - start);
    if (first >> 4 === 3) this.#own();
    this.#position = end;
    return this.#decode(this.#chunk, start, position, end);
  }

  /** Copies the chunk, since a payload is going to refer to it. */
  #own(): void {
    if (this.#chunkIsOurs) return;
    this.#chunk = this.#chunk.slice();
    this.#chunkIsOurs = true;
  }

  /** Puts the rest of the chunk aside as the start of a packet of `size` bytes (0: not known yet). */
  #keep(size: number): null {
    this.#size = size;
    const rest = this.#chunk.length - this.#position;
    this.#partial = new Uint8Array(size === 0 ? LONGEST_HEADER : capacity(size, rest));
    this.#fill(rest);
    return null;
  }

  /** Moves up to `length` bytes from the chunk to the partial packet. */
  #fill(length: number): void {
    const count = Math.min(length, this.#chunk.length - this.#position);
    const needed = this.#filled + count;
    if (needed > this.#partial.length) this.#grow(needed);
    this.#partial.set(this.#chunk.subarray(this.#position, this.#position + count), this.#filled);
    this.#filled = needed;
    this.#position += count;
  }

  #grow(needed: number): void {
    const grown = new Uint8Array(capacity(this.#size, needed));
    grown.set(this.#partial.subarray(0, this.#filled));
    this.#partial = grown;
  }

  #nextOfPartial(): Packet | null {
    while (this.#size === 0) {
      if (this.#position === this.#chunk.length) return null;
      this.#fill(1);
      const last = this.#partial[this.#filled - 1];
      if (this.#filled === 1) continue;
      if (last < 0x80) {
        if (last === 0 && this.#filled > 2) this.#checkLongLength(this.#partial[0]);
        let remainingLength = 0;
        for (let i = 1; i < this.#filled; i++) remainingLength |= (this.#partial[i] & 0x7f) << 7 * (i - 1);
        this.#size = this.#filled + remainingLength;
        this.#checkHeader(this.#partial[0], this.#size);
      } else if (this.#filled === LONGEST_HEADER) throw tooLong(this.#partial[0]);
    }
    this.#fill(this.#size - this.#filled);
    if (this.#filled < this.#size) return null;
    const bytes = this.#partial, size = this.#size;
    this.#partial = NO_BYTES;
    this.#filled = this.#size = 0;
    let body = 1;
    while (bytes[body++] >= 0x80);
    return this.#decode(bytes, 0, body, size);
  }

  /** Checks whether a Remaining Length may take more bytes than it need. */
  #checkLongLength(first: number): void {
    if (this.#dialect.allowsLongLength) return;
    throw faultyHeader(first, "the remaining length is longer than it need be", 1);
  }

  /** Checks a fixed header when it is complete: the rest of the packet may be long in coming. */
  #checkHeader(first: number, size: number): void {
    const type = first >> 4, flags = first & 0x0f;
    if (type === 3) {
      if ((flags & 6) === 6) throw faultyHeader(first, "the QoS is 3"); // [MQTT-3.3.1-4]
      if ((flags & 14) === 8) throw faultyHeader(first, "DUP is set with QoS 0"); // [MQTT-3.3.1-2]
    } else if (type === 0 || type === 15 && !this.#dialect.hasReasons) {
      throw faultyHeader(first, `the packet type ${type} is reserved`); // [MQTT-2.2.1]
    } else if (flags !== (hasFlag1(type) ? 2 : 0)) { // [MQTT-2.2.2-2]
      throw faultyHeader(first, `the flags 0x${flags.toString(16)} are reserved`);
    }
    if (size <= this.#maximumPacketSize) return;
    throw new ProtocolError(
      `${describeType(first)} is too large: ${size} bytes are announced, ${this.#maximumPacketSize} are allowed`,
      PACKET_TOO_LARGE,
    );
  }

  #decode(bytes: Uint8Array, start: number, position: number, end: number): Packet {
    const first = bytes[start], type = first >> 4, flags = first & 0x0f;
    const reader = this.#reader, dialect = this.#dialect;
    reader.open(bytes, start, position, end, describeType(first));
    if (type === 3) return readPublish(reader, flags, dialect, this.#topics);
    const packet = this.#body(type, reader, dialect);
    reader.finish();
    return packet;
  }

  #body(type: number, reader: Reader, dialect: Dialect): Packet {
    switch (TYPES[type]) {
      case "PUBACK":
        return readAcknowledgement(reader, "PUBACK", dialect);
      case "PUBREC":
        return readAcknowledgement(reader, "PUBREC", dialect);
      case "PUBREL":
        return readAcknowledgement(reader, "PUBREL", dialect);
      case "PUBCOMP":
        return readAcknowledgement(reader, "PUBCOMP", dialect);
      case "CONNECT":
        return readConnect(reader, dialect);
      case "CONNACK":
        return readConnack(reader, dialect);
      case "SUBSCRIBE":
        return readSubscribe(reader, dialect);
      case "SUBACK":
        return readSuback(reader, dialect);
      case "UNSUBSCRIBE":
        return readUnsubscribe(reader, dialect);
      case "UNSUBACK":
        return readUnsuback(reader, dialect);
      case "PINGREQ":
        return { type: "PINGREQ" };
      case "PINGRESP":
        return { type: "PINGRESP" };
      case "DISCONNECT":
        return readDisconnect(reader, dialect);
      default:
        return readAuth(reader, dialect);
    }
  }
}

function capacity(size: number, arrived: number): number {
  return Math.min(size, Math.max(TRUSTED_SIZE, arrived * TRUSTED_FACTOR));
}

function describeType(first: number): string {
  return TYPES[first >> 4] ?? "packet";
}

function tooLong(first: number): ProtocolError {
  return faultyHeader(first, "the remaining length is longer than 4 bytes", 1);
}

function faultyHeader(first: number, what: string, position = 0): ProtocolError {
  return new ProtocolError(
    `Malformed ${describeType(first)}: ${what} (byte ${position} of the packet)`,
    MALFORMED_PACKET,
  );
}
