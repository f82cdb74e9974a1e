import { assertEquals } from "@std/assert";
import type { QoS, SubscriptionRequest } from "../../src/packets.ts";
import { bytes, decode, encode, hex } from "./bytes.ts";
import { properties, testLiterals, testMalformed } from "./tables.ts";

const request = (topicFilter: string, qos: QoS): SubscriptionRequest => ({
  topicFilter,
  qos,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
});

testLiterals([
  {
    // Figures 3.21 and 3.23 of the specification.
    name: "SUBSCRIBE (§3.8, figures 3.21 and 3.23)",
    bytes: "82 0e 000a 0003 'a/b' 01 0003 'c/d' 02",
    packet: { type: "SUBSCRIBE", packetId: 10, subscriptions: [request("a/b", 1), request("c/d", 2)], properties },
  },
  {
    name: "SUBSCRIBE with QoS 0 and wildcards",
    bytes: "82 0c ffff 0007 '+/b/c/#' 00",
    packet: { type: "SUBSCRIBE", packetId: 65_535, subscriptions: [request("+/b/c/#", 0)], properties },
  },
  {
    name: "SUBSCRIBE with the same filter twice",
    bytes: "82 0a 0001 0001 'a' 00 0001 'a' 02",
    packet: { type: "SUBSCRIBE", packetId: 1, subscriptions: [request("a", 0), request("a", 2)], properties },
  },
  {
    // Figure 3.26 of the specification.
    name: "SUBACK (§3.9.3, figure 3.26)",
    bytes: "90 05 000a 00 02 80",
    packet: { type: "SUBACK", packetId: 10, reasonCodes: [0, 2, 0x80], properties },
  },
  {
    name: "SUBACK with QoS 1",
    bytes: "90 03 0001 01",
    packet: { type: "SUBACK", packetId: 1, reasonCodes: [1], properties },
  },
  {
    // Figures 3.28 and 3.30 of the specification.
    name: "UNSUBSCRIBE (§3.10, figures 3.28 and 3.30)",
    bytes: "a2 0c 000a 0003 'a/b' 0003 'c/d'",
    packet: { type: "UNSUBSCRIBE", packetId: 10, topicFilters: ["a/b", "c/d"], properties },
  },
  {
    name: "UNSUBACK",
    bytes: "b0 02 000a",
    packet: { type: "UNSUBACK", packetId: 10, reasonCodes: [], properties },
  },
]);

testMalformed([
  { name: "SUBACK without fields", bytes: "90 00", what: "packet identifier needs 2 bytes", byte: 2 },
  { name: "SUBACK without a code", bytes: "90 02 0001", what: "reason code needs 1 bytes", byte: 4 },
  { name: "SUBACK with packet identifier 0", bytes: "90 03 0000 00", what: "packet identifier is 0", byte: 2 },
  { name: "SUBACK with code 3 [MQTT-3.9.3-2]", bytes: "90 03 0001 03", what: "reason code 0x3 is reserved", byte: 4 },
  { name: "SUBACK with code 0x7F", bytes: "90 04 0001 00 7f", what: "reason code 0x7f is reserved", byte: 5 },
  { name: "SUBACK with code 0x81", bytes: "90 05 0001 00 80 81", what: "reason code 0x81 is reserved", byte: 6 },
  { name: "UNSUBACK without fields", bytes: "b0 00", what: "packet identifier needs 2 bytes", byte: 2 },
  { name: "UNSUBACK with packet identifier 0", bytes: "b0 02 0000", what: "packet identifier is 0", byte: 2 },
  { name: "UNSUBACK with a byte too many", bytes: "b0 03 0001 00", what: "1 bytes more", byte: 4 },
  { name: "SUBSCRIBE without fields", bytes: "82 00", what: "packet identifier needs 2 bytes", byte: 2 },
  {
    name: "SUBSCRIBE without a filter [MQTT-3.8.3-3]",
    bytes: "82 02 0001",
    what: "no topic filter",
    byte: 4,
    reasonCode: 0x82,
  },
  {
    name: "SUBSCRIBE with packet identifier 0",
    bytes: "82 06 0000 0001 'a' 00",
    what: "packet identifier is 0",
    byte: 2,
  },
  { name: "SUBSCRIBE with QoS 3 [MQTT-3-8.3-4]", bytes: "82 06 0001 0001 'a' 03", what: "requested QoS is 3", byte: 7 },
  {
    name: "SUBSCRIBE with reserved bits beside the QoS [MQTT-3-8.3-4]",
    bytes: "82 06 0001 0001 'a' 05",
    what: "requested QoS is 5",
    byte: 7,
  },
  {
    name: "SUBSCRIBE without a QoS",
    bytes: "82 05 0001 0001 'a'",
    what: "requested QoS needs 1 bytes, 0 are left",
    byte: 7,
  },
  { name: "SUBSCRIBE to an empty filter", bytes: "82 05 0001 0000 00", what: "must not be empty", byte: 6 },
  { name: "SUBSCRIBE to a#", bytes: "82 07 0001 0002 'a#' 00", what: "a whole level", byte: 6 },
  { name: "SUBSCRIBE to #/a", bytes: "82 08 0001 0003 '#/a' 00", what: "# must be the last level", byte: 6 },
  {
    name: "SUBSCRIBE whose second filter is longer than the packet",
    bytes: "82 0a 0001 0001 'a' 00 0003 'bc'",
    what: "topic filter needs 3 bytes, 2 are left",
    byte: 10,
  },
  {
    name: "SUBSCRIBE to a filter that is not UTF-8",
    bytes: "82 06 0001 0001 ff 00",
    what: "not well-formed UTF-8",
    byte: 6,
  },
  {
    name: "UNSUBSCRIBE without a filter [MQTT-3.10.3-2]",
    bytes: "a2 02 0001",
    what: "no topic filter",
    byte: 4,
    reasonCode: 0x82,
  },
  {
    name: "UNSUBSCRIBE with packet identifier 0",
    bytes: "a2 05 0000 0001 'a'",
    what: "packet identifier is 0",
    byte: 2,
  },
  { name: "UNSUBSCRIBE with half a filter", bytes: "a2 05 0001 0002 'a'", what: "topic filter needs 2 bytes", byte: 6 },
  { name: "UNSUBSCRIBE from an empty filter", bytes: "a2 04 0001 0000", what: "must not be empty", byte: 6 },
]);

Deno.test("Encoder.encode() leaves out the codes of UNSUBACK, which 3.1.1 has not", () => {
  const data = encode({ type: "UNSUBACK", packetId: 1, reasonCodes: [0, 0x11], properties });
  assertEquals(hex(data), hex(bytes("b0 02 0001")));
});

Deno.test("Encoder.encode() leaves out the subscription options of MQTT 5.0", () => {
  const subscription = { topicFilter: "a", qos: 1, noLocal: true, retainAsPublished: true, retainHandling: 2 } as const;
  const data = encode({ type: "SUBSCRIBE", packetId: 1, subscriptions: [subscription], properties });
  assertEquals(hex(data), hex(bytes("82 06 0001 0001 'a' 01")));
});

Deno.test("Encoder.encode() writes SUBSCRIBE with 20,000 filters", () => {
  const subscriptions = Array.from({ length: 20_000 }, (_, i) => request(`room/${i}/+`, 1));
  const packet = { type: "SUBSCRIBE", packetId: 1, subscriptions, properties } as const;
  assertEquals(decode(encode(packet)), [packet]);
});
