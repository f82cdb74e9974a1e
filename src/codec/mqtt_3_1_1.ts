import { NO_PROPERTIES } from "../properties.ts";
import { reasonCodeOfReturnCode } from "../reason_codes.ts";
import { type Dialect, NO_REASON } from "./dialect.ts";

/** MQTT 3.1.1: no properties, no reasons. */
export const MQTT_3_1_1: Dialect = {
  protocolVersion: 4,
  hasProperties: false,
  hasReasons: false,
  hasSubscriptionIdentifiers: false,
  hasResponseTopics: false,
  hasUnsubackCodes: false,
  allowsLongLength: true, // §2.2.3 does not forbid it
  allowsPasswordAlone: false, // [MQTT-3.1.2-22]
  hasTopicAliases: false,
  writeProperties: () => {},
  readProperties: () => NO_PROPERTIES,
  needsReason: () => false,
  writeReason: () => {},
  readReason: () => NO_REASON,
  subscriptionOptions: (request) => request.qos,
  readSubscriptionOptions(reader, topicFilter) {
    const options = reader.u8("requested QoS");
    if (options > 2) throw reader.fault(`requested QoS is ${options}`, reader.position - 1); // [MQTT-3-8.3-4]
    return { topicFilter, qos: options as 0 | 1 | 2, noLocal: false, retainAsPublished: false, retainHandling: 0 };
  },
  reasonCode(reader, type, code) {
    if (type === "CONNACK") {
      const reasonCode = reasonCodeOfReturnCode(code);
      if (reasonCode !== undefined) return reasonCode;
      throw reader.fault(`the return code ${code} is reserved`, reader.position - 1);
    }
    if (code <= 2 || code === 0x80) return code;
    throw reader.fault(`the reason code 0x${code.toString(16)} is reserved`, reader.position - 1); // [MQTT-3.9.3-2]
  },
};
