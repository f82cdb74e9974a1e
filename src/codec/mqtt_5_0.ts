import type { PacketType, QoS, SubscriptionRequest } from "../packets.ts";
import { isEmpty, NO_PROPERTIES } from "../properties.ts";
import { isReasonCodeOf, PROTOCOL_ERROR, SUCCESS } from "../reason_codes.ts";
import { filterOfShare } from "../topic.ts";
import { type Dialect, NO_REASON } from "./dialect.ts";
import { readProperties, writeProperties } from "./property_block.ts";
import type { Reader } from "./reader.ts";

// The Subscription Options (§3.8.3.1); the QoS has the lowest two bits.
const NO_LOCAL = 0x04, RETAIN_AS_PUBLISHED = 0x08, RESERVED = 0xc0;

/** MQTT 5.0. */
export const MQTT_5_0: Dialect = {
  protocolVersion: 5,
  hasProperties: true,
  hasReasons: true,
  hasSubscriptionIdentifiers: true,
  hasResponseTopics: true,
  hasUnsubackCodes: true,
  allowsLongLength: false, // [MQTT5-1.5.5-1]
  allowsPasswordAlone: true, // §3.1.2.9
  hasTopicAliases: true,
  writeProperties,
  readProperties,
  needsReason: ({ reasonCode, properties }) => reasonCode !== SUCCESS || !isEmpty(properties),
  writeReason(writer, type, { reasonCode, properties }) {
    writer.u8(reasonCode);
    if (!isEmpty(properties)) writeProperties(writer, type, properties);
  },
  readReason(reader, type) {
    if (reader.left === 0) return NO_REASON;
    const reasonCode = checkReasonCode(reader, type, reader.u8("reason code"));
    const properties = reader.left === 0 ? NO_PROPERTIES : readProperties(reader, type);
    if (type === "AUTH" && properties.authenticationMethod === undefined) { // §3.15.2.2.2
      throw reader.fault("no authenticationMethod", reader.position, PROTOCOL_ERROR);
    }
    return { reasonCode, properties };
  },
  subscriptionOptions({ qos, noLocal, retainAsPublished, retainHandling }) {
    return qos | (noLocal ? NO_LOCAL : 0) | (retainAsPublished ? RETAIN_AS_PUBLISHED : 0) | retainHandling << 4;
  },
  readSubscriptionOptions(reader, topicFilter) {
    const options = reader.u8("subscription options");
    const faulty = (what: string, reasonCode?: number) =>
      reader.fault(`${what} (subscription options 0x${options.toString(16)})`, reader.position - 1, reasonCode);
    const qos = options & 3, retainHandling = options >> 4 & 3, noLocal = (options & NO_LOCAL) !== 0;
    if (options & RESERVED) throw faulty("a reserved bit is set"); // [MQTT5-3.8.3-5]
    if (qos === 3) throw faulty("the QoS is 3", PROTOCOL_ERROR);
    if (retainHandling === 3) throw faulty("the retain handling is 3", PROTOCOL_ERROR);
    if (noLocal && filterOfShare(topicFilter) !== topicFilter) {
      throw faulty("no local on a shared subscription", PROTOCOL_ERROR); // [MQTT5-3.8.3-4]
    }
    return {
      topicFilter,
      qos: qos as QoS,
      noLocal,
      retainAsPublished: (options & RETAIN_AS_PUBLISHED) !== 0,
      retainHandling: retainHandling as SubscriptionRequest["retainHandling"],
    };
  },
  reasonCode: checkReasonCode,
};

function checkReasonCode(reader: Reader, type: PacketType, code: number): number {
  if (isReasonCodeOf(type, code)) return code;
  throw reader.fault(`the reason code 0x${code.toString(16)} is not allowed here`, reader.position - 1, PROTOCOL_ERROR);
}
