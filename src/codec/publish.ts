import type { AcknowledgementPacket, PublishPacket, QoS } from "../packets.ts";
import { PROTOCOL_ERROR } from "../reason_codes.ts";
import { topicFault } from "../topic.ts";
import type { Dialect } from "./dialect.ts";
import type { Reader } from "./reader.ts";
import type { TopicCache } from "./topic_cache.ts";
import type { Writer } from "./writer.ts";

/** Gives the flags of a PUBLISH, the low half of its first byte (§3.3.1). */
export function publishFlags(packet: PublishPacket): number {
  return (packet.dup ? 8 : 0) | packet.qos << 1 | (packet.retain ? 1 : 0);
}

/** Gives the Remaining Length of a PUBLISH, whose topic name and properties are encoded. */
export function publishLength(packet: PublishPacket, topic: Uint8Array, properties: Uint8Array): number {
  return 2 + topic.length + (packet.qos === 0 ? 0 : 2) + properties.length + packet.payload.length;
}

/** Writes a whole PUBLISH; `topic` and `properties` are its topic name and, if the dialect has any, its properties, encoded. */
export function writePublish(writer: Writer, packet: PublishPacket, topic: Uint8Array, properties: Uint8Array): void {
  const { qos, payload } = packet;
  const nameLength = topic.length;
  let remaining = publishLength(packet, topic, properties);
  writer.reserve(9 + nameLength);
  const buffer = writer.buffer;
  let position = writer.position;
  buffer[position++] = 0x30 | publishFlags(packet);
  while (remaining > 0x7f) {
    buffer[position++] = remaining & 0x7f | 0x80;
    remaining >>>= 7;
  }
  buffer[position++] = remaining;
  buffer[position++] = nameLength >> 8;
  buffer[position++] = nameLength;
  for (let i = 0; i < nameLength; i++) buffer[position++] = topic[i];
  if (qos !== 0) {
    buffer[position++] = packet.packetId >> 8;
    buffer[position++] = packet.packetId;
  }
  writer.position = position;
  if (properties.length > 0) writer.raw(properties);
  writer.payload(payload);
}

/** Reads a PUBLISH, whose flags have been checked; its payload is a view into the reader's bytes. */
export function readPublish(reader: Reader, flags: number, dialect: Dialect, topics: TopicCache): PublishPacket {
  const qos = flags >> 1 & 3;
  const length = reader.u16("length of the topic name");
  const start = reader.position;
  const end = start + length;
  if (end > reader.end) throw reader.fault(`the topic name needs ${length} bytes, ${reader.left} are left`);
  let topic = topics.get(reader.bytes, start, end);
  if (topic === undefined) {
    topic = reader.text(start, end, "topic name");
    const fault = length === 0 && dialect.hasTopicAliases ? undefined : topicFault(topic);
    if (fault !== undefined) throw reader.fault(fault, start);
    topics.put(reader.bytes, start, end, topic);
  }
  reader.position = end;
  const packetId = qos === 0 ? 0 : reader.packetId();
  const properties = dialect.readProperties(reader, "PUBLISH");
  if (length === 0 && properties.topicAlias === undefined) { // §3.3.2.1
    throw reader.fault("topic names must not be empty", start, PROTOCOL_ERROR);
  }
  const payload = reader.bytes.subarray(reader.position, reader.end);
  reader.position = reader.end;
  if (properties.payloadFormatIndicator === 1) reader.checkText(payload);
  return {
    type: "PUBLISH",
    dup: (flags & 8) !== 0,
    qos: qos as QoS,
    retain: (flags & 1) !== 0,
    topic,
    packetId,
    properties,
    payload,
  };
}

/** Reads a PUBACK, PUBREC, PUBREL or PUBCOMP. */
export function readAcknowledgement(
  reader: Reader,
  type: AcknowledgementPacket["type"],
  dialect: Dialect,
): AcknowledgementPacket {
  const packetId = reader.packetId();
  const { reasonCode, properties } = dialect.readReason(reader, type);
  return { type, packetId, reasonCode, properties };
}
