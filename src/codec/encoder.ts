import type { AcknowledgementPacket, Packet, PublishPacket } from "../packets.ts";
import { writeConnack, writeConnect, writeReasonOnly } from "./connect.ts";
import type { Dialect } from "./dialect.ts";
import { writePublish } from "./publish.ts";
import { writeCodes, writeSubscribe, writeUnsubscribe } from "./subscribe.ts";
import { TopicEncoder } from "./topic_encoder.ts";
import { Writer } from "./writer.ts";

const NO_BYTES = new Uint8Array(0);

/** The first byte of each packet: its type, and the flags that are fixed for it (§2.2.1, §2.2.2). */
const FIRST_BYTE: Readonly<Record<Exclude<Packet["type"], "PUBLISH">, number>> = {
  CONNECT: 0x10,
  CONNACK: 0x20,
  PUBACK: 0x40,
  PUBREC: 0x50,
  PUBREL: 0x62,
  PUBCOMP: 0x70,
  SUBSCRIBE: 0x82,
  SUBACK: 0x90,
  UNSUBSCRIBE: 0xa2,
  UNSUBACK: 0xb0,
  PINGREQ: 0xc0,
  PINGRESP: 0xd0,
  DISCONNECT: 0xe0,
  AUTH: 0xf0,
};

/** Turns packets into bytes, which are collected until they are taken. */
export class Encoder {
  readonly #dialect: Dialect;
  readonly #topics = new TopicEncoder();
  readonly #writer: Writer;
  /** Where a part is written that goes behind its own length. */
  readonly #part = new Writer();

  /** Takes the dialect, and from which size in bytes on a payload is not copied. */
  constructor(dialect: Dialect, largePayload: number = Infinity) {
    this.#dialect = dialect;
    this.#writer = new Writer(largePayload);
  }

  /** Bytes encoded and not taken. */
  get length(): number {
    return this.#writer.length;
  }

  /** Adds a packet; a large payload is not copied and must not change before it is written. */
  encode(packet: Packet): void {
    switch (packet.type) {
      case "PUBLISH":
        return writePublish(this.#writer, packet, this.#topics.encode(packet.topic), this.#publishProperties(packet));
      case "PUBACK":
      case "PUBREC":
      case "PUBREL":
      case "PUBCOMP":
        return this.#acknowledgement(packet);
      default:
        this.#body(packet);
        this.#header(packet.type);
    }
  }

  /** Gives the bytes of all packets encoded since the last call; they hold until the next call. */
  take(): Uint8Array[] {
    return this.#writer.take();
  }

  #publishProperties(packet: PublishPacket): Uint8Array {
    this.#dialect.writeProperties(this.#part, "PUBLISH", packet.properties);
    return this.#part.length === 0 ? NO_BYTES : this.#part.take()[0];
  }

  #acknowledgement(packet: AcknowledgementPacket): void {
    if (this.#dialect.needsReason(packet)) {
      this.#part.u16(packet.packetId);
      this.#dialect.writeReason(this.#part, packet.type, packet);
      return this.#header(packet.type);
    }
    const writer = this.#writer;
    writer.reserve(4);
    writer.buffer[writer.position++] = FIRST_BYTE[packet.type];
    writer.buffer[writer.position++] = 2;
    writer.buffer[writer.position++] = packet.packetId >> 8;
    writer.buffer[writer.position++] = packet.packetId;
  }

  #body(packet: Exclude<Packet, PublishPacket | AcknowledgementPacket>): void {
    switch (packet.type) {
      case "CONNECT":
        return writeConnect(this.#part, packet, this.#dialect);
      case "CONNACK":
        return writeConnack(this.#part, packet, this.#dialect);
      case "SUBSCRIBE":
        return writeSubscribe(this.#part, packet, this.#dialect);
      case "UNSUBSCRIBE":
        return writeUnsubscribe(this.#part, packet, this.#dialect);
      case "SUBACK":
      case "UNSUBACK":
        return writeCodes(this.#part, packet, this.#dialect);
      case "DISCONNECT":
      case "AUTH":
        return writeReasonOnly(this.#part, packet, this.#dialect);
      case "PINGREQ":
      case "PINGRESP":
        return;
    }
  }

  /** Writes the fixed header, and behind it the part. */
  #header(type: Exclude<Packet["type"], "PUBLISH">): void {
    this.#writer.u8(FIRST_BYTE[type]);
    this.#writer.variableByteInteger(this.#part.length);
    for (const bytes of this.#part.take()) this.#writer.raw(bytes);
  }
}
