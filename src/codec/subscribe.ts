import type {
  SubackPacket,
  SubscribePacket,
  SubscriptionRequest,
  UnsubackPacket,
  UnsubscribePacket,
} from "../packets.ts";
import { PROTOCOL_ERROR } from "../reason_codes.ts";
import { topicFilterFault } from "../topic.ts";
import type { Dialect } from "./dialect.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

export function writeSubscribe(writer: Writer, packet: SubscribePacket, dialect: Dialect): void {
  writer.u16(packet.packetId);
  dialect.writeProperties(writer, "SUBSCRIBE", packet.properties);
  for (const request of packet.subscriptions) {
    writer.string(request.topicFilter);
    writer.u8(dialect.subscriptionOptions(request));
  }
}

export function readSubscribe(reader: Reader, dialect: Dialect): SubscribePacket {
  const packetId = reader.packetId();
  const properties = dialect.readProperties(reader, "SUBSCRIBE");
  const subscriptions: SubscriptionRequest[] = [];
  checkPayload(reader); // [MQTT-3.8.3-3]
  while (reader.left > 0) subscriptions.push(dialect.readSubscriptionOptions(reader, readTopicFilter(reader)));
  return { type: "SUBSCRIBE", packetId, subscriptions, properties };
}

function checkPayload(reader: Reader): void {
  if (reader.left === 0) throw reader.fault("no topic filter", reader.position, PROTOCOL_ERROR);
}

function readTopicFilter(reader: Reader): string {
  const start = reader.position + 2;
  const topicFilter = reader.string("topic filter");
  const fault = topicFilterFault(topicFilter);
  if (fault !== undefined) throw reader.fault(fault, start);
  return topicFilter;
}

export function writeUnsubscribe(writer: Writer, packet: UnsubscribePacket, dialect: Dialect): void {
  writer.u16(packet.packetId);
  dialect.writeProperties(writer, "UNSUBSCRIBE", packet.properties);
  for (const topicFilter of packet.topicFilters) writer.string(topicFilter);
}

export function readUnsubscribe(reader: Reader, dialect: Dialect): UnsubscribePacket {
  const packetId = reader.packetId();
  const properties = dialect.readProperties(reader, "UNSUBSCRIBE");
  const topicFilters: string[] = [];
  checkPayload(reader); // [MQTT-3.10.3-2]
  while (reader.left > 0) topicFilters.push(readTopicFilter(reader));
  return { type: "UNSUBSCRIBE", packetId, topicFilters, properties };
}

/** Writes SUBACK or UNSUBACK. */
export function writeCodes(writer: Writer, packet: SubackPacket | UnsubackPacket, dialect: Dialect): void {
  writer.u16(packet.packetId);
  dialect.writeProperties(writer, packet.type, packet.properties);
  if (packet.type === "SUBACK" || dialect.hasUnsubackCodes) { for (const code of packet.reasonCodes) writer.u8(code); }
}

export function readSuback(reader: Reader, dialect: Dialect): SubackPacket {
  const packetId = reader.packetId();
  const properties = dialect.readProperties(reader, "SUBACK");
  return { type: "SUBACK", packetId, reasonCodes: readCodes(reader, "SUBACK", dialect), properties };
}

export function readUnsuback(reader: Reader, dialect: Dialect): UnsubackPacket {
  const packetId = reader.packetId();
  const properties = dialect.readProperties(reader, "UNSUBACK");
  const reasonCodes = dialect.hasUnsubackCodes ? readCodes(reader, "UNSUBACK", dialect) : [];
  return { type: "UNSUBACK", packetId, reasonCodes, properties };
}

function readCodes(reader: Reader, type: "SUBACK" | "UNSUBACK", dialect: Dialect): number[] {
  const codes: number[] = [];
  do {
    codes.push(dialect.reasonCode(reader, type, reader.u8("reason code")));
  } while (reader.left > 0);
  return codes;
}
