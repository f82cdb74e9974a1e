import fc from "fast-check";
import type { Packet, PacketType, QoS, SubscriptionRequest } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { topicFilterFault } from "../../src/topic.ts";

// What packets are made of. All of it is the same for MQTT 5.0; the fields that 3.1.1 lacks have their defaults.

const properties = fc.constant(NO_PROPERTIES);

const ascii = fc.string({ unit: "grapheme-ascii", maxLength: 20 });
const anyUnicode = fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.replaceAll("\0", "\uFEFF"));

/** A UTF-8 Encoded String: no lone surrogates, no U+0000. */
export const encodedString: fc.Arbitrary<string> = fc.oneof(ascii, anyUnicode);

export const topic: fc.Arbitrary<string> = encodedString.map((text) => text.replaceAll(/[+#]/g, "/") || "/");

const filterLevel = fc.oneof({ weight: 1, arbitrary: fc.constant("+") }, { weight: 3, arbitrary: topic });

export const topicFilter: fc.Arbitrary<string> = fc
  .tuple(fc.array(filterLevel, { minLength: 1, maxLength: 5 }), fc.boolean())
  .map(([levels, rest]) => [...levels, ...rest ? ["#"] : []].join("/"))
  .filter((filter) => topicFilterFault(filter) === undefined);

export const packetId: fc.Arbitrary<number> = fc.oneof(
  fc.constantFrom(1, 255, 256, 65_535),
  fc.integer({ min: 1, max: 65_535 }),
);

export const qos: fc.Arbitrary<QoS> = fc.constantFrom(0, 1, 2);

/** Lengths on both sides of the places where Remaining Length grows by a byte. */
export const payload: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 5, arbitrary: fc.uint8Array({ maxLength: 64 }) },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 140 }).map((length) => new Uint8Array(length).fill(length)) },
  {
    weight: 1,
    arbitrary: fc.integer({ min: 16_300, max: 16_400 }).map((length) => new Uint8Array(length).fill(length)),
  },
);

const small = fc.uint8Array({ maxLength: 30 });
const u16 = fc.oneof(fc.constantFrom(0, 255, 256, 65_535), fc.integer({ min: 0, max: 65_535 }));
const acknowledgement = { packetId, reasonCode: fc.constant(0), properties };

const subscription: fc.Arbitrary<SubscriptionRequest> = fc.record({
  topicFilter,
  qos,
  noLocal: fc.constant(false),
  retainAsPublished: fc.constant(false),
  retainHandling: fc.constant(0),
});

const login: fc.Arbitrary<{ username: string | undefined; password: Uint8Array | undefined }> = fc.oneof(
  fc.constant({ username: undefined, password: undefined }),
  fc.record({ username: encodedString, password: fc.option(small, { nil: undefined }) }),
);

const connack: fc.Arbitrary<Packet> = fc
  .tuple(fc.boolean(), fc.constantFrom([0, 0], [1, 0x84], [2, 0x85], [3, 0x88], [4, 0x86], [5, 0x87]))
  .map(([present, [returnCode, reasonCode]]) => ({
    type: "CONNACK",
    sessionPresent: present && returnCode === 0,
    returnCode,
    reasonCode,
    properties: NO_PROPERTIES,
  }));

const publish: fc.Arbitrary<Packet> = fc
  .record({ qos, dup: fc.boolean(), retain: fc.boolean(), topic, packetId, payload })
  .map((fields) => ({
    type: "PUBLISH",
    ...fields,
    dup: fields.dup && fields.qos > 0,
    packetId: fields.qos > 0 ? fields.packetId : 0,
    properties: NO_PROPERTIES,
  }));

/** Every packet type of MQTT 3.1.1, well-formed. */
export const packetsByType: Record<Exclude<PacketType, "AUTH">, fc.Arbitrary<Packet>> = {
  CONNECT: fc.tuple(
    fc.record({ clientId: encodedString, cleanStart: fc.boolean(), keepAlive: u16 }),
    login,
    fc.option(fc.record({ topic, payload: small, qos, retain: fc.boolean(), properties }), { nil: undefined }),
  ).map(([fields, login, will]) => ({
    type: "CONNECT",
    protocolVersion: 4,
    ...fields,
    ...login,
    will,
    properties: NO_PROPERTIES,
  })),
  CONNACK: connack,
  PUBLISH: publish,
  PUBACK: fc.record({ type: fc.constant("PUBACK"), ...acknowledgement }),
  PUBREC: fc.record({ type: fc.constant("PUBREC"), ...acknowledgement }),
  PUBREL: fc.record({ type: fc.constant("PUBREL"), ...acknowledgement }),
  PUBCOMP: fc.record({ type: fc.constant("PUBCOMP"), ...acknowledgement }),
  SUBSCRIBE: fc.record({
    type: fc.constant("SUBSCRIBE"),
    packetId,
    subscriptions: fc.array(subscription, { minLength: 1, maxLength: 5 }),
    properties,
  }),
  SUBACK: fc.record({
    type: fc.constant("SUBACK"),
    packetId,
    reasonCodes: fc.array(fc.constantFrom(0, 1, 2, 0x80), { minLength: 1, maxLength: 5 }),
    properties,
  }),
  UNSUBSCRIBE: fc.record({
    type: fc.constant("UNSUBSCRIBE"),
    packetId,
    topicFilters: fc.array(topicFilter, { minLength: 1, maxLength: 5 }),
    properties,
  }),
  UNSUBACK: fc.record({ type: fc.constant("UNSUBACK"), packetId, reasonCodes: fc.constant<number[]>([]), properties }),
  PINGREQ: fc.constant({ type: "PINGREQ" }),
  PINGRESP: fc.constant({ type: "PINGRESP" }),
  DISCONNECT: fc.record({ type: fc.constant("DISCONNECT"), reasonCode: fc.constant(0), properties }),
};

export const packet: fc.Arbitrary<Packet> = fc.oneof(...Object.values(packetsByType));

/** Packets in a row, as a connection carries them. */
export const packets: fc.Arbitrary<Packet[]> = fc.array(packet, { minLength: 1, maxLength: 8 });
