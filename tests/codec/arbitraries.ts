import fc from "fast-check";
import type { Packet, PacketType, QoS, SubscriptionRequest } from "../../src/packets.ts";
import { NO_PROPERTIES, type Properties } from "../../src/properties.ts";
import { topicFilterFault } from "../../src/topic.ts";

// What packets are made of.

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

// MQTT 5.0.

const bit: fc.Arbitrary<0 | 1> = fc.constantFrom(0, 1);
const u32 = fc.oneof(
  fc.constantFrom(0, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
  fc.integer({ min: 0, max: 0xffff_ffff }),
);
const positive = u16.map((value) => value || 1);
const identifier = fc.oneof(
  fc.constantFrom(1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455),
  fc.integer({ min: 1, max: 268_435_455 }),
);
const userProperties = fc.array(fc.tuple(encodedString, encodedString), { minLength: 1, maxLength: 4 });

const reason = { reasonString: encodedString, userProperties };
const messageProperties = {
  payloadFormatIndicator: bit,
  messageExpiryInterval: u32,
  contentType: encodedString,
  responseTopic: topic,
  correlationData: small,
  userProperties,
};

/** Any of the properties, or none. */
function someOf(of: { [Name in keyof Properties]: fc.Arbitrary<Properties[Name]> }): fc.Arbitrary<Properties> {
  return fc.record(of, { requiredKeys: [] }).map(dropDataWithoutMethod);
}

function dropDataWithoutMethod(properties: Properties): Properties {
  if (properties.authenticationMethod !== undefined) return properties;
  const { authenticationData: _, ...rest } = properties;
  return rest;
}

const someReason = someOf(reason);
const acknowledgement5 = <Type extends PacketType>(type: Type, reasonCodes: readonly number[]) =>
  fc.record({
    type: fc.constant(type),
    packetId,
    reasonCode: fc.constantFrom(...reasonCodes),
    properties: someReason,
  });
const codes = (reasonCodes: readonly number[]) =>
  fc.array(fc.constantFrom(...reasonCodes), { minLength: 1, maxLength: 5 });

const PUBACK_CODES = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
const PUBREL_CODES = [0x00, 0x92];

const subscription5: fc.Arbitrary<SubscriptionRequest> = fc.record({
  topicFilter,
  qos,
  noLocal: fc.boolean(),
  retainAsPublished: fc.boolean(),
  retainHandling: fc.constantFrom(0, 1, 2),
}).map((request) => ({ ...request, noLocal: request.noLocal && !request.topicFilter.startsWith("$share/") }));

const publish5: fc.Arbitrary<Packet> = fc
  .record({
    qos,
    dup: fc.boolean(),
    retain: fc.boolean(),
    topic: fc.oneof(topic, fc.constant("")),
    packetId,
    payload,
    properties: someOf({
      ...messageProperties,
      topicAlias: positive,
      subscriptionIdentifiers: fc.array(identifier, { minLength: 1, maxLength: 4 }),
    }),
  })
  .map((fields) => ({
    type: "PUBLISH",
    ...fields,
    topic: fields.properties.topicAlias === undefined ? fields.topic || "t" : fields.topic,
    dup: fields.dup && fields.qos > 0,
    packetId: fields.qos > 0 ? fields.packetId : 0,
  }));

/** Every packet type of MQTT 5.0, well-formed, with any of the properties that it may have. */
export const packetsByType5: Record<PacketType, fc.Arbitrary<Packet>> = {
  CONNECT: fc.record({
    type: fc.constant("CONNECT"),
    protocolVersion: fc.constant(5),
    clientId: encodedString,
    cleanStart: fc.boolean(),
    keepAlive: u16,
    username: fc.option(encodedString, { nil: undefined }),
    password: fc.option(small, { nil: undefined }),
    will: fc.option(
      fc.record({
        topic,
        payload: small,
        qos,
        retain: fc.boolean(),
        properties: someOf({ ...messageProperties, willDelayInterval: u32 }),
      }),
      { nil: undefined },
    ),
    properties: someOf({
      sessionExpiryInterval: u32,
      authenticationMethod: encodedString,
      authenticationData: small,
      requestProblemInformation: bit,
      requestResponseInformation: bit,
      receiveMaximum: positive,
      topicAliasMaximum: u16,
      userProperties,
      maximumPacketSize: u32.map((value) => value || 1),
    }),
  }),
  CONNACK: fc.tuple(
    fc.boolean(),
    fc.constantFrom(0, 0, 0x80, 0x84, 0x9f),
    someOf({
      ...reason,
      sessionExpiryInterval: u32,
      assignedClientIdentifier: encodedString,
      serverKeepAlive: u16,
      authenticationMethod: encodedString,
      authenticationData: small,
      responseInformation: encodedString,
      serverReference: encodedString,
      receiveMaximum: positive,
      topicAliasMaximum: u16,
      maximumQos: bit,
      retainAvailable: bit,
      maximumPacketSize: u32.map((value) => value || 1),
      wildcardSubscriptionAvailable: bit,
      subscriptionIdentifiersAvailable: bit,
      sharedSubscriptionAvailable: bit,
    }),
  ).map(([present, reasonCode, properties]) => ({
    type: "CONNACK",
    sessionPresent: present && reasonCode === 0,
    returnCode: reasonCode,
    reasonCode,
    properties,
  })),
  PUBLISH: publish5,
  PUBACK: acknowledgement5("PUBACK", PUBACK_CODES),
  PUBREC: acknowledgement5("PUBREC", PUBACK_CODES),
  PUBREL: acknowledgement5("PUBREL", PUBREL_CODES),
  PUBCOMP: acknowledgement5("PUBCOMP", PUBREL_CODES),
  SUBSCRIBE: fc.record({
    type: fc.constant("SUBSCRIBE"),
    packetId,
    subscriptions: fc.array(subscription5, { minLength: 1, maxLength: 5 }),
    properties: someOf({ subscriptionIdentifier: identifier, userProperties }),
  }),
  SUBACK: fc.record({
    type: fc.constant("SUBACK"),
    packetId,
    reasonCodes: codes([0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2]),
    properties: someReason,
  }),
  UNSUBSCRIBE: fc.record({
    type: fc.constant("UNSUBSCRIBE"),
    packetId,
    topicFilters: fc.array(topicFilter, { minLength: 1, maxLength: 5 }),
    properties: someOf({ userProperties }),
  }),
  UNSUBACK: fc.record({
    type: fc.constant("UNSUBACK"),
    packetId,
    reasonCodes: codes([0, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91]),
    properties: someReason,
  }),
  PINGREQ: fc.constant({ type: "PINGREQ" }),
  PINGRESP: fc.constant({ type: "PINGRESP" }),
  DISCONNECT: fc.record({
    type: fc.constant("DISCONNECT"),
    reasonCode: fc.constantFrom(0, 4, 0x80, 0x8b, 0x9c, 0x9d, 0xa2),
    properties: someOf({ ...reason, sessionExpiryInterval: u32, serverReference: encodedString }),
  }),
  AUTH: fc.oneof(
    fc.constant<Packet>({ type: "AUTH", reasonCode: 0, properties: NO_PROPERTIES }),
    fc.tuple(
      fc.constantFrom(0, 0x18, 0x19),
      encodedString,
      fc.record({ ...reason, authenticationData: small }, { requiredKeys: [] }),
    ).map(([reasonCode, authenticationMethod, properties]): Packet => ({
      type: "AUTH",
      reasonCode,
      properties: { authenticationMethod, ...properties },
    })),
  ),
};

/** Packets of MQTT 5.0 in a row. */
export const packets5: fc.Arbitrary<Packet[]> = fc.array(fc.oneof(...Object.values(packetsByType5)), {
  minLength: 1,
  maxLength: 8,
});
