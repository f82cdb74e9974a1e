import type { AcknowledgementPacket, Packet, PacketType, PublishPacket } from "../packets.ts";
import { NO_PROPERTIES, propertiesOf } from "../properties.ts";
import { writeConnack, writeConnect } from "./connect.ts";
import type { Dialect } from "./dialect.ts";
import { publishLength, writePublish } from "./publish.ts";
import { writeCodes, writeSubscribe, writeUnsubscribe } from "./subscribe.ts";
import { TopicEncoder } from "./topic_encoder.ts";
import { NO_BYTES, variableByteIntegerLength, Writer } from "./writer.ts";

/** What the specification lets be left out of a packet that would be too large, in this order, where a reason may be given. */
const DROPPABLE = ["reasonString", "userProperties"] as const;

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

type OtherPacket = Exclude<Packet, PublishPacket>;

/** Turns packets into bytes, which are collected until they are taken. */
export class Encoder {
  /** The size in bytes that the receiver accepts; a reason that makes a packet larger is left out. */
  maximumPacketSize = Infinity;
  readonly #dialect: Dialect;
  readonly #topics = new TopicEncoder();
  readonly #writer: Writer;
  /** Where a part is written that goes behind its own length. */
  readonly #part = new Writer();
  readonly #noProperties: Uint8Array;

  /** Takes the dialect, and from which size in bytes on a payload is not copied. */
  constructor(dialect: Dialect, largePayload: number = Infinity) {
    this.#dialect = dialect;
    this.#writer = new Writer(largePayload);
    dialect.writeProperties(this.#part, "PUBLISH", NO_PROPERTIES);
    this.#noProperties = this.#takePart().slice();
  }

  /** Bytes encoded and not taken. */
  get length(): number {
    return this.#writer.length;
  }

  /** How many of these bytes are in payloads that were not copied. */
  get borrowed(): number {
    return this.#writer.borrowed;
  }

  /** Gives the size in bytes of a packet with all that it holds. */
  sizeOf(packet: Packet): number {
    const remainingLength = packet.type === "PUBLISH"
      ? publishLength(packet, this.#topics.encode(packet.topic), this.#publishProperties(packet))
      : this.#body(packet).length;
    return 1 + variableByteIntegerLength(remainingLength) + remainingLength;
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
        if (!this.#dialect.needsReason(packet)) return this.#acknowledge(packet);
    }
    const body = this.#body(this.#fit(packet));
    this.#writer.u8(FIRST_BYTE[packet.type]);
    this.#writer.variableByteInteger(body.length);
    this.#writer.raw(body);
  }

  /** Gives the bytes of all packets encoded since the last call; they hold until the next call. */
  take(): Uint8Array[] {
    return this.#writer.take();
  }

  /** Leaves a reason out of a packet that would be too large with it. */
  #fit(packet: OtherPacket): OtherPacket {
    if (this.maximumPacketSize === Infinity) return packet;
    for (const name of DROPPABLE) {
      if (!("properties" in packet) || !mayHoldReason(packet.type)) break;
      if (this.sizeOf(packet) <= this.maximumPacketSize) break;
      packet = { ...packet, properties: { ...packet.properties, [name]: undefined } };
    }
    return packet;
  }

  /** Gives the encoded properties of a PUBLISH; they hold until the next part is taken. */
  #publishProperties({ properties }: PublishPacket): Uint8Array {
    if (properties === NO_PROPERTIES) return this.#noProperties;
    this.#dialect.writeProperties(this.#part, "PUBLISH", properties);
    return this.#takePart();
  }

  #takePart(): Uint8Array {
    return this.#part.length === 0 ? NO_BYTES : this.#part.take()[0];
  }

  /** Writes an acknowledgement in its short form. */
  #acknowledge(packet: AcknowledgementPacket): void {
    const writer = this.#writer;
    writer.reserve(4);
    writer.buffer[writer.position++] = FIRST_BYTE[packet.type];
    writer.buffer[writer.position++] = 2;
    writer.buffer[writer.position++] = packet.packetId >> 8;
    writer.buffer[writer.position++] = packet.packetId;
  }

  /** Gives what follows the fixed header; it holds until the next part is taken. */
  #body(packet: OtherPacket): Uint8Array {
    const part = this.#part, dialect = this.#dialect;
    switch (packet.type) {
      case "CONNECT":
        writeConnect(part, packet, dialect);
        break;
      case "CONNACK":
        writeConnack(part, packet, dialect);
        break;
      case "SUBSCRIBE":
        writeSubscribe(part, packet, dialect);
        break;
      case "UNSUBSCRIBE":
        writeUnsubscribe(part, packet, dialect);
        break;
      case "SUBACK":
      case "UNSUBACK":
        writeCodes(part, packet, dialect);
        break;
      case "PINGREQ":
      case "PINGRESP":
        break;
      default:
        if ("packetId" in packet) part.u16(packet.packetId);
        if (dialect.needsReason(packet)) dialect.writeReason(part, packet.type, packet);
    }
    return this.#takePart();
  }
}

function mayHoldReason(type: PacketType): boolean {
  return propertiesOf(type).some(({ name }) => name === "reasonString");
}
