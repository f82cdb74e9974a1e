import type { AuthPacket, ConnackPacket, ConnectPacket, DisconnectPacket, QoS, WillPacket } from "../packets.ts";
import { reasonCodeOfReturnCode, UNSUPPORTED_PROTOCOL_VERSION } from "../reason_codes.ts";
import { topicFault } from "../topic.ts";
import type { Dialect } from "./dialect.ts";
import { MQTT_3_1_1 } from "./mqtt_3_1_1.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

// The Connect Flags (§3.1.2.3).
const CLEAN_START = 0x02, WILL = 0x04, WILL_RETAIN = 0x20, PASSWORD = 0x40, USERNAME = 0x80;

export function writeConnect(writer: Writer, packet: ConnectPacket, dialect: Dialect): void {
  const { will, username, password } = packet;
  writer.string("MQTT");
  writer.u8(dialect.protocolVersion);
  let flags = packet.cleanStart ? CLEAN_START : 0;
  if (will) flags |= WILL | will.qos << 3 | (will.retain ? WILL_RETAIN : 0);
  if (username !== undefined) flags |= USERNAME;
  if (password !== undefined) flags |= PASSWORD;
  writer.u8(flags);
  writer.u16(packet.keepAlive);
  dialect.writeProperties(writer, "CONNECT", packet.properties);
  writer.string(packet.clientId);
  if (will) {
    dialect.writeProperties(writer, "will", will.properties);
    writer.string(will.topic);
    writer.binary(will.payload);
  }
  if (username !== undefined) writer.string(username);
  if (password !== undefined) writer.binary(password);
}

export function readConnect(reader: Reader, dialect: Dialect): ConnectPacket {
  const nameAt = reader.position + 2;
  const name = reader.string("protocol name");
  if (name !== "MQTT") throw reader.fault(`the protocol name is ${JSON.stringify(name)}, not "MQTT"`, nameAt);
  const level = reader.u8("protocol level");
  if (level !== dialect.protocolVersion) {
    throw reader.fault(`the protocol level is ${level}`, reader.position - 1, UNSUPPORTED_PROTOCOL_VERSION);
  }
  const flags = reader.u8("connect flags");
  const flagsAt = reader.position - 1;
  const faultyFlags = (what: string) => reader.fault(`${what} (connect flags 0x${flags.toString(16)})`, flagsAt);
  const willQos = flags >> 3 & 3;
  if (flags & 1) throw faultyFlags("a reserved flag is set"); // [MQTT-3.1.2-3]
  if (willQos === 3) throw faultyFlags("the QoS of the will is 3"); // [MQTT-3.1.2-14]
  if (!(flags & WILL) && flags & (WILL_RETAIN | 0x18)) throw faultyFlags("flags of a will without a will"); // [MQTT-3.1.2-11]
  if (flags & PASSWORD && !(flags & USERNAME) && !dialect.allowsPasswordAlone) {
    throw faultyFlags("a password without a user name");
  }
  const keepAlive = reader.u16("keep alive");
  const properties = dialect.readProperties(reader, "CONNECT");
  const clientId = reader.string("client identifier");
  let will: WillPacket | undefined;
  if (flags & WILL) {
    const properties = dialect.readProperties(reader, "will");
    const topicAt = reader.position + 2;
    const topic = reader.string("will topic");
    const fault = topicFault(topic);
    if (fault !== undefined) throw reader.fault(fault, topicAt);
    const payload = reader.binary("will message");
    if (properties.payloadFormatIndicator === 1) reader.checkText(payload);
    will = { topic, payload, qos: willQos as QoS, retain: (flags & WILL_RETAIN) !== 0, properties };
  }
  const username = flags & USERNAME ? reader.string("user name") : undefined;
  const password = flags & PASSWORD ? reader.binary("password") : undefined;
  return {
    type: "CONNECT",
    protocolVersion: dialect.protocolVersion,
    clientId,
    cleanStart: (flags & CLEAN_START) !== 0,
    keepAlive,
    username,
    password,
    will,
    properties,
  };
}

export function writeConnack(writer: Writer, packet: ConnackPacket, dialect: Dialect): void {
  writer.u8(packet.sessionPresent ? 1 : 0);
  writer.u8(packet.returnCode);
  dialect.writeProperties(writer, "CONNACK", packet.properties);
}

export function readConnack(reader: Reader, dialect: Dialect): ConnackPacket {
  if (isRefusalOf3_1_1(reader)) dialect = MQTT_3_1_1;
  const flags = reader.u8("acknowledge flags");
  if (flags > 1) throw reader.fault(`the acknowledge flags are 0x${flags.toString(16)}`, reader.position - 1);
  const returnCode = reader.u8("return code");
  const reasonCode = dialect.reasonCode(reader, "CONNACK", returnCode);
  if (flags === 1 && reasonCode !== 0) { // [MQTT-3.2.2-4]
    throw reader.fault(`session present in a refusal (return code ${returnCode})`, reader.position - 2);
  }
  const properties = dialect.readProperties(reader, "CONNACK");
  return { type: "CONNACK", sessionPresent: flags === 1, returnCode, reasonCode, properties };
}

/** Whether a broker that knows 3.1.1 alone has refused the connection, which it does in its own way whatever it was asked for. */
function isRefusalOf3_1_1({ left, bytes, position }: Reader): boolean {
  return left === 2 && bytes[position + 1] !== 0 && reasonCodeOfReturnCode(bytes[position + 1]) !== undefined;
}

export function readDisconnect(reader: Reader, dialect: Dialect): DisconnectPacket {
  const { reasonCode, properties } = dialect.readReason(reader, "DISCONNECT");
  return { type: "DISCONNECT", reasonCode, properties };
}

export function readAuth(reader: Reader, dialect: Dialect): AuthPacket {
  const { reasonCode, properties } = dialect.readReason(reader, "AUTH");
  return { type: "AUTH", reasonCode, properties };
}
