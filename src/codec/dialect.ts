import type { Packet, PacketType, SubscriptionRequest } from "../packets.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import { reasonCodeOfReturnCode } from "../reason_codes.ts";
import type { Reader } from "./reader.ts";
import type { Writer } from "./writer.ts";

/** Where properties stand: in a packet, or with the Will Message in CONNECT. */
export type PropertiesOwner = PacketType | "will";

/** What the tail of an acknowledgement, DISCONNECT or AUTH holds. */
export interface Reason {
  reasonCode: number;
  properties: Properties;
}

/** What differs on the wire from one version of the protocol to the other; all the rest is the same for both. */
export interface Dialect {
  readonly protocolVersion: 4 | 5;
  /** Whether AUTH exists; otherwise type 15 is reserved. */
  readonly hasAuth: boolean;
  /** Whether UNSUBACK holds a code for each topic filter. */
  readonly hasUnsubackCodes: boolean;
  /** Whether CONNECT may hold a password without a user name. */
  readonly allowsPasswordAlone: boolean;
  /** Whether an empty topic name may arrive, since an alias stands for it. */
  readonly hasTopicAliases: boolean;

  writeProperties(writer: Writer, owner: PropertiesOwner, properties: Properties): void;
  readProperties(reader: Reader, owner: PropertiesOwner): Properties;
  /** Whether the tail has to be written, or the short form says the same. */
  needsReason(reason: Reason): boolean;
  writeReason(writer: Writer, type: PacketType, reason: Reason): void;
  readReason(reader: Reader, type: PacketType): Reason;
  subscriptionOptions(request: SubscriptionRequest): number;
  readSubscriptionOptions(reader: Reader, topicFilter: string): SubscriptionRequest;
  /** Says what a code of SUBACK, UNSUBACK or CONNACK means, `undefined` where it may not stand there. */
  reasonCode(type: Packet["type"], code: number): number | undefined;
}

const SUCCESS: Reason = Object.freeze({ reasonCode: 0, properties: NO_PROPERTIES });

/** MQTT 3.1.1: no properties, no reasons. */
export const MQTT_3_1_1: Dialect = {
  protocolVersion: 4,
  hasAuth: false,
  hasUnsubackCodes: false,
  allowsPasswordAlone: false, // [MQTT-3.1.2-22]
  hasTopicAliases: false,
  writeProperties: () => {},
  readProperties: () => NO_PROPERTIES,
  needsReason: () => false,
  writeReason: () => {},
  readReason: () => SUCCESS,
  subscriptionOptions: (request) => request.qos,
  readSubscriptionOptions(reader, topicFilter) {
    const options = reader.u8("requested QoS");
    if (options > 2) throw reader.fault(`requested QoS is ${options}`, reader.position - 1); // [MQTT-3-8.3-4]
    return { topicFilter, qos: options as 0 | 1 | 2, noLocal: false, retainAsPublished: false, retainHandling: 0 };
  },
  reasonCode(type, code) {
    if (type === "CONNACK") return reasonCodeOfReturnCode(code);
    return code <= 2 || code === 0x80 ? code : undefined; // [MQTT-3.9.3-2]
  },
};
