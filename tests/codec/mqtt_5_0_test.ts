import { assertEquals, assertStrictEquals, assertStringIncludes } from "@std/assert";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import type {
  ConnectPacket,
  PacketType,
  PublishPacket,
  QoS,
  SubscribePacket,
  SubscriptionRequest,
} from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { bytes, decode, encode, hex } from "./bytes.ts";
import { errorOf, testLiterals, testMalformed } from "./tables.ts";

const properties = NO_PROPERTIES;

const connect: ConnectPacket = {
  type: "CONNECT",
  protocolVersion: 5,
  clientId: "",
  cleanStart: true,
  keepAlive: 10,
  username: undefined,
  password: undefined,
  will: undefined,
  properties,
};

const publish: PublishPacket = {
  type: "PUBLISH",
  dup: false,
  qos: 0,
  retain: false,
  topic: "t",
  packetId: 0,
  properties,
  payload: bytes("'x'"),
};

const request: SubscriptionRequest = {
  topicFilter: "a",
  qos: 0,
  noLocal: false,
  retainAsPublished: false,
  retainHandling: 0,
};

testLiterals([
  { name: "CONNECT of MQTT 5.0", bytes: "10 0d 0004 'MQTT' 05 02 000a 00 0000", packet: connect },
  {
    name: "CONNECT of MQTT 5.0 with a password and no user name (§3.1.2.9)",
    bytes: "10 11 0004 'MQTT' 05 42 000a 00 0000 0002 'pw'",
    packet: { ...connect, password: bytes("'pw'") },
  },
  {
    name: "CONNECT with all its properties (§3.1.2.11)",
    bytes: "10 31 0004 'MQTT' 05 02 000a 24 " +
      "11 ffffffff 15 0001 'm' 16 0002 00ff 17 00 19 01 21 000a 22 0005 26 0001 'k' 0001 'v' 27 80000000 0000",
    packet: {
      ...connect,
      properties: {
        sessionExpiryInterval: 4_294_967_295,
        authenticationMethod: "m",
        authenticationData: bytes("00ff"),
        requestProblemInformation: 0,
        requestResponseInformation: 1,
        receiveMaximum: 10,
        topicAliasMaximum: 5,
        userProperties: [["k", "v"]],
        maximumPacketSize: 2_147_483_648,
      },
    },
  },
  {
    name: "CONNECT with all the properties of a will (§3.1.3.2)",
    bytes: "10 33 0004 'MQTT' 05 2e 000a 00 0000 1e " +
      "01 01 02 0000003c 03 0001 'c' 08 0001 'r' 09 0001 07 18 00000005 26 0001 'k' 0000 0001 'w' 0002 'hi'",
    packet: {
      ...connect,
      will: {
        topic: "w",
        payload: bytes("'hi'"),
        qos: 1,
        retain: true,
        properties: {
          payloadFormatIndicator: 1,
          messageExpiryInterval: 60,
          contentType: "c",
          responseTopic: "r",
          correlationData: bytes("07"),
          willDelayInterval: 5,
          userProperties: [["k", ""]],
        },
      },
    },
  },
  {
    name: "CONNACK of MQTT 5.0",
    bytes: "20 03 00 00 00",
    packet: { type: "CONNACK", sessionPresent: false, returnCode: 0, reasonCode: 0, properties },
  },
  {
    name: "CONNACK with all its properties (§3.2.2.3)",
    bytes:
      "20 47 01 00 44 11 00000001 12 0002 'id' 13 003c 15 0001 'm' 16 0001 ff 1a 0001 'i' 1c 0001 's' 1f 0001 'r' " +
      "21 ffff 22 0000 24 00 25 00 26 0001 'a' 0001 'b' 26 0001 'a' 0001 'c' 27 ffffffff 28 00 29 01 2a 00",
    packet: {
      type: "CONNACK",
      sessionPresent: true,
      returnCode: 0,
      reasonCode: 0,
      properties: {
        sessionExpiryInterval: 1,
        assignedClientIdentifier: "id",
        serverKeepAlive: 60,
        authenticationMethod: "m",
        authenticationData: bytes("ff"),
        responseInformation: "i",
        serverReference: "s",
        reasonString: "r",
        receiveMaximum: 65_535,
        topicAliasMaximum: 0,
        maximumQos: 0,
        retainAvailable: 0,
        userProperties: [["a", "b"], ["a", "c"]],
        maximumPacketSize: 4_294_967_295,
        wildcardSubscriptionAvailable: 0,
        subscriptionIdentifiersAvailable: 1,
        sharedSubscriptionAvailable: 0,
      },
    },
  },
  {
    name: "CONNACK with a reason code",
    bytes: "20 03 00 87 00",
    packet: { type: "CONNACK", sessionPresent: false, returnCode: 0x87, reasonCode: 0x87, properties },
  },
  { name: "PUBLISH of MQTT 5.0 without properties", bytes: "30 05 0001 't' 00 'x'", packet: publish },
  {
    name: "PUBLISH with all its properties (§3.3.2.3)",
    bytes: "32 30 0001 't' 000a 29 01 00 02 ffffffff 03 0001 'c' 08 0001 'r' 09 0001 07 " +
      "0b 01 0b ffffff7f 23 0003 26 0001 'k' 0001 'v' 26 0000 0000 'x'",
    packet: {
      ...publish,
      qos: 1,
      packetId: 10,
      properties: {
        payloadFormatIndicator: 0,
        messageExpiryInterval: 4_294_967_295,
        contentType: "c",
        responseTopic: "r",
        correlationData: bytes("07"),
        subscriptionIdentifiers: [1, 268_435_455],
        topicAlias: 3,
        userProperties: [["k", "v"], ["", ""]],
      },
    },
  },
  {
    name: "PUBLISH whose topic name an alias stands for (§3.3.2.3.4)",
    bytes: "30 07 0000 03 23 ffff 'x'",
    packet: { ...publish, topic: "", properties: { topicAlias: 65_535 } },
  },
  {
    name: "PUBLISH with properties of 128 bytes",
    bytes: `30 8601 0001 't' 8001 03 007d '${"c".repeat(125)}' 'x'`,
    packet: { ...publish, properties: { contentType: "c".repeat(125) } },
  },
  ...([["PUBACK", "40"], ["PUBREC", "50"], ["PUBREL", "62"], ["PUBCOMP", "70"]] as const).flatMap(([type, first]) => [
    {
      name: `${type} of MQTT 5.0 in its short form`,
      bytes: `${first} 02 0001`,
      packet: { type, packetId: 1, reasonCode: 0, properties },
    },
    {
      name: `${type} with a reason code and no properties`,
      bytes: `${first} 03 0001 ${type === "PUBACK" || type === "PUBREC" ? "10" : "92"}`,
      packet: { type, packetId: 1, reasonCode: type === "PUBACK" || type === "PUBREC" ? 0x10 : 0x92, properties },
    },
    {
      name: `${type} with properties`,
      bytes: `${first} 0f 0001 00 0b 1f 0001 'r' 26 0001 'k' 0001 'v'`,
      packet: {
        type,
        packetId: 1,
        reasonCode: 0,
        properties: { reasonString: "r", userProperties: [["k", "v"]] as [string, string][] },
      },
    },
  ]),
  {
    name: "SUBSCRIBE with options (§3.8.3.1)",
    bytes: "82 13 000a 00 0001 'a' 06 0001 'b' 19 0001 'c' 20 0001 'd' 00",
    packet: {
      type: "SUBSCRIBE",
      packetId: 10,
      subscriptions: [
        { ...request, qos: 2, noLocal: true },
        { ...request, topicFilter: "b", qos: 1, retainAsPublished: true, retainHandling: 1 },
        { ...request, topicFilter: "c", retainHandling: 2 },
        { ...request, topicFilter: "d" },
      ],
      properties,
    },
  },
  {
    name: "SUBSCRIBE with its properties (§3.8.2.1)",
    bytes: "82 11 0001 0a 0b 8001 26 0001 'k' 0001 'v' 0001 'a' 00",
    packet: {
      type: "SUBSCRIBE",
      packetId: 1,
      subscriptions: [request],
      properties: { subscriptionIdentifier: 128, userProperties: [["k", "v"]] },
    },
  },
  {
    name: "SUBACK of MQTT 5.0",
    bytes: "90 09 000a 04 1f 0001 'r' 02 a2",
    packet: { type: "SUBACK", packetId: 10, reasonCodes: [2, 0xa2], properties: { reasonString: "r" } },
  },
  {
    name: "UNSUBSCRIBE of MQTT 5.0",
    bytes: "a2 0d 0001 07 26 0001 'k' 0001 'v' 0001 'a'",
    packet: { type: "UNSUBSCRIBE", packetId: 1, topicFilters: ["a"], properties: { userProperties: [["k", "v"]] } },
  },
  {
    name: "UNSUBACK of MQTT 5.0",
    bytes: "b0 05 000a 00 00 11",
    packet: { type: "UNSUBACK", packetId: 10, reasonCodes: [0, 0x11], properties },
  },
  { name: "PINGREQ of MQTT 5.0", bytes: "c0 00", packet: { type: "PINGREQ" } },
  { name: "PINGRESP of MQTT 5.0", bytes: "d0 00", packet: { type: "PINGRESP" } },
  {
    name: "DISCONNECT of MQTT 5.0 in its short form",
    bytes: "e0 00",
    packet: { type: "DISCONNECT", reasonCode: 0, properties },
  },
  {
    name: "DISCONNECT with a reason code and no properties",
    bytes: "e0 01 04",
    packet: { type: "DISCONNECT", reasonCode: 4, properties },
  },
  {
    name: "DISCONNECT with all its properties (§3.14.2.2)",
    bytes: "e0 16 9d 14 11 00000000 1c 0001 's' 1f 0001 'r' 26 0001 'k' 0001 'v'",
    packet: {
      type: "DISCONNECT",
      reasonCode: 0x9d,
      properties: { sessionExpiryInterval: 0, serverReference: "s", reasonString: "r", userProperties: [["k", "v"]] },
    },
  },
  { name: "AUTH in its short form", bytes: "f0 00", packet: { type: "AUTH", reasonCode: 0, properties } },
  {
    name: "AUTH with all its properties (§3.15.2.2)",
    bytes: "f0 15 18 13 15 0001 'm' 16 0001 ff 1f 0001 'r' 26 0001 'k' 0001 'v'",
    packet: {
      type: "AUTH",
      reasonCode: 0x18,
      properties: {
        authenticationMethod: "m",
        authenticationData: bytes("ff"),
        reasonString: "r",
        userProperties: [["k", "v"]],
      },
    },
  },
], MQTT_5_0);

testMalformed([
  {
    name: "CONNECT of protocol level 4 in the dialect of MQTT 5.0",
    bytes: "10 0c 0004 'MQTT' 04 02 000a 0000",
    what: "the protocol level is 4",
    byte: 8,
    reasonCode: 0x84,
  },
  {
    name: "CONNECT of MQTT 5.0 with the reserved flag [MQTT5-3.1.2-3]",
    bytes: "10 0d 0004 'MQTT' 05 03 000a 00 0000",
    what: "reserved flag",
    byte: 9,
  },
  {
    name: "CONNECT with authentication data and no method (§3.1.2.11.10)",
    bytes: "10 11 0004 'MQTT' 05 02 000a 04 16 0001 ff 0000",
    what: "authenticationData without authenticationMethod",
    byte: 17,
    reasonCode: 0x82,
  },
  {
    name: "CONNECT whose will lacks the length of its properties",
    bytes: "10 10 0004 'MQTT' 05 06 000a 00 0000 0001 'w'",
    what: "will topic needs 375 bytes",
    byte: 18,
  },
  {
    name: "CONNACK of MQTT 5.0 with reserved flags [MQTT5-3.2.2-1]",
    bytes: "20 03 02 00 00",
    what: "the acknowledge flags are 0x2",
    byte: 2,
  },
  { name: "CONNACK of MQTT 5.0 without properties", bytes: "20 02 00 00", what: "property length", byte: 4 },
  {
    name: "CONNACK of MQTT 5.0 with code 6 and no properties",
    bytes: "20 02 00 06",
    what: "0x6 is not allowed",
    byte: 3,
    reasonCode: 0x82,
  },
  {
    name: "CONNACK with properties and a return code of 3.1.1",
    bytes: "20 03 00 01 00",
    what: "0x1 is not allowed",
    byte: 3,
    reasonCode: 0x82,
  },
  {
    name: "CONNACK with properties that are longer than the packet",
    bytes: "20 05 00 00 03 24 01",
    what: "the properties need 3 bytes, 2 are left",
    byte: 5,
  },
  {
    name: "CONNACK with a byte behind its properties",
    bytes: "20 06 00 00 02 24 01 00",
    what: "1 bytes more",
    byte: 7,
  },
  {
    name: "CONNACK with a property that is cut off by the end of the properties",
    bytes: "20 07 00 00 02 21 00 0a 00",
    what: "receiveMaximum needs 2 bytes, 1 are left",
    byte: 6,
  },
  {
    name: "a property length of five bytes",
    bytes: "20 07 00 00 80 80 80 80 01",
    what: "property length is longer than 4 bytes",
    byte: 4,
  },
  {
    name: "a property length that is longer than it need be [MQTT5-1.5.5-1]",
    bytes: "20 04 00 00 80 00",
    what: "property length is longer than it need be",
    byte: 4,
  },
  {
    name: "an identifier of a property that is longer than it need be",
    bytes: "20 06 00 00 03 a4 00 01",
    what: "property identifier is longer than it need be",
    byte: 5,
  },
  {
    name: "an identifier of a property in two bytes",
    bytes: "20 06 00 00 03 a6 01 01",
    what: "the property 0xa6 is not allowed here",
    byte: 5,
  },
  {
    name: "PUBLISH to an empty topic without an alias",
    bytes: "30 04 0000 00 'x'",
    what: "must not be empty",
    byte: 4,
    reasonCode: 0x82,
  },
  {
    name: "PUBLISH with topic alias 0 [MQTT5-3.3.2-8]",
    bytes: "30 07 0001 't' 03 23 0000",
    what: "topicAlias is 0",
    byte: 7,
    reasonCode: 0x94,
  },
  {
    name: "PUBLISH whose response topic has a wildcard [MQTT5-3.3.2-14]",
    bytes: "30 0a 0001 't' 06 08 0003 'a/#'",
    what: "responseTopic: topic names must not contain wildcards",
    byte: 7,
    reasonCode: 0x82,
  },
  {
    name: "PUBLISH whose response topic is empty [MQTT5-4.7.3-1]",
    bytes: "30 07 0001 't' 03 08 0000",
    what: "responseTopic: topic names must not be empty",
    byte: 7,
    reasonCode: 0x82,
  },
  {
    name: "PUBLISH whose content type is not UTF-8 [MQTT5-1.5.4-1]",
    bytes: "30 08 0001 't' 04 03 0001 ff",
    what: "the contentType is not well-formed UTF-8",
    byte: 9,
  },
  {
    name: "PUBLISH whose user property holds U+0000 [MQTT5-1.5.4-2]",
    bytes: "30 0b 0001 't' 07 26 0001 'k' 0001 00",
    what: "the userProperties holds U+0000",
    byte: 12,
  },
  {
    name: "PUBLISH whose user property has no value",
    bytes: "30 08 0001 't' 04 26 0001 'k'",
    what: "userProperties needs 2 bytes, 0 are left",
    byte: 10,
  },
  { name: "PUBLISH of MQTT 5.0 without a property length", bytes: "30 03 0001 't'", what: "property length", byte: 5 },
  {
    name: "PUBACK with properties that are longer than the packet",
    bytes: "40 04 0001 00 01",
    what: "the properties need 1 bytes, 0 are left",
    byte: 6,
  },
  {
    name: "SUBSCRIBE with reserved bits [MQTT5-3.8.3-5]",
    bytes: "82 07 0001 00 0001 'a' 40",
    what: "a reserved bit is set (subscription options 0x40)",
    byte: 8,
  },
  {
    name: "SUBSCRIBE with the other reserved bit",
    bytes: "82 07 0001 00 0001 'a' 80",
    what: "a reserved bit",
    byte: 8,
  },
  {
    name: "SUBSCRIBE of MQTT 5.0 with QoS 3 (§3.8.3.1)",
    bytes: "82 07 0001 00 0001 'a' 03",
    what: "the QoS is 3",
    byte: 8,
    reasonCode: 0x82,
  },
  {
    name: "SUBSCRIBE with retain handling 3 (§3.8.3.1)",
    bytes: "82 07 0001 00 0001 'a' 30",
    what: "the retain handling is 3",
    byte: 8,
    reasonCode: 0x82,
  },
  {
    name: "SUBSCRIBE with no local on a shared subscription [MQTT5-3.8.3-4]",
    bytes: "82 10 0001 00 000a '$share/g/a' 04",
    what: "no local on a shared subscription",
    byte: 17,
    reasonCode: 0x82,
  },
  {
    name: "SUBSCRIBE of MQTT 5.0 without a filter [MQTT5-3.8.3-2]",
    bytes: "82 03 0001 00",
    what: "no topic filter",
    byte: 5,
    reasonCode: 0x82,
  },
  {
    name: "UNSUBSCRIBE of MQTT 5.0 without a filter [MQTT5-3.10.3-2]",
    bytes: "a2 03 0001 00",
    what: "no topic filter",
    byte: 5,
    reasonCode: 0x82,
  },
  { name: "UNSUBACK of MQTT 5.0 without a code", bytes: "b0 03 0001 00", what: "reason code needs 1 bytes", byte: 5 },
  {
    name: "AUTH with a reason code and nothing else (§3.15.2.2.2)",
    bytes: "f0 01 18",
    what: "no authenticationMethod",
    byte: 3,
    reasonCode: 0x82,
  },
  {
    name: "AUTH without an authentication method (§3.15.2.2.2)",
    bytes: "f0 06 18 04 1f 0001 'r'",
    what: "no authenticationMethod",
    byte: 8,
    reasonCode: 0x82,
  },
  { name: "AUTH with flags [MQTT5-3.15.1-1]", bytes: "f2 00", what: "the flags 0x2 are reserved", byte: 0 },
  { name: "DISCONNECT with a byte behind its properties", bytes: "e0 03 00 00 00", what: "1 bytes more", byte: 4 },
], MQTT_5_0);

Deno.test("MQTT_5_0 reads the refusal of a broker that knows 3.1.1 alone", () => {
  for (const [returnCode, reasonCode] of [[1, 0x84], [2, 0x85], [3, 0x88], [4, 0x86], [5, 0x87]]) {
    const expected = { type: "CONNACK", sessionPresent: false, returnCode, reasonCode, properties } as const;
    assertEquals(decode(Uint8Array.of(0x20, 2, 0, returnCode), MQTT_5_0), [expected]);
  }
});

Deno.test("MQTT_5_0 reads long forms that say what the short one does", () => {
  for (const literal of ["40 03 0001 00", "40 04 0001 00 00", "e0 01 00", "e0 02 00 00"]) {
    const [packet] = decode(bytes(literal), MQTT_5_0);
    assertEquals("reasonCode" in packet && packet.reasonCode, 0);
    assertEquals("properties" in packet && packet.properties, NO_PROPERTIES);
  }
});

Deno.test("MQTT_5_0 writes the short form where no property has a value", () => {
  const nothing = { reasonString: undefined, userProperties: [] };
  assertEquals(hex(encode({ type: "PUBACK", packetId: 1, reasonCode: 0, properties: nothing }, MQTT_5_0)), "40020001");
  assertEquals(hex(encode({ type: "DISCONNECT", reasonCode: 0, properties: {} }, MQTT_5_0)), "e000");
  assertEquals(hex(encode({ ...publish, properties: nothing }, MQTT_5_0)), hex(bytes("30 05 0001 't' 00 'x'")));
});

Deno.test("MQTT_5_0 gives packets without properties the shared NO_PROPERTIES", () => {
  const literals = [
    "20 03 00 00 00",
    "30 05 0001 't' 00 'x'",
    "40 02 0001",
    "40 03 0001 10",
    "90 04 0001 00 00",
    "e0 00",
  ];
  for (const literal of literals) {
    const [packet] = decode(bytes(literal), MQTT_5_0);
    assertStrictEquals("properties" in packet && packet.properties, NO_PROPERTIES, literal);
  }
});

Deno.test("MQTT_5_0 writes every combination of subscription options in its bits (§3.8.3.1)", () => {
  for (let options = 0; options < 64; options++) {
    const qos = options & 3, retainHandling = options >> 4;
    if (qos === 3 || retainHandling === 3) continue;
    const packet: SubscribePacket = {
      type: "SUBSCRIBE",
      packetId: 1,
      subscriptions: [{
        topicFilter: "a",
        qos: qos as QoS,
        noLocal: (options & 4) !== 0,
        retainAsPublished: (options & 8) !== 0,
        retainHandling: retainHandling as 0 | 1 | 2,
      }],
      properties,
    };
    const data = Uint8Array.of(...bytes("82 07 0001 00 0001 'a'"), options);
    assertEquals(hex(encode(packet, MQTT_5_0)), hex(data));
    assertEquals(decode(data, MQTT_5_0), [packet]);
  }
});

// The tables of §3.2.2.2, §3.4.2.1, §3.5.2.1, §3.6.2.1, §3.7.2.1, §3.9.3, §3.11.3, §3.14.2.1 and §3.15.2.1,
// and for 0x8C in DISCONNECT that of §2.4.
const REASON_CODES: readonly [type: PacketType, head: string, tail: string, allowed: string][] = [
  [
    "CONNACK",
    "20 03 00",
    "00",
    "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f",
  ],
  ["PUBACK", "40 04 0001", "00", "00 10 80 83 87 90 91 97 99"],
  ["PUBREC", "50 04 0001", "00", "00 10 80 83 87 90 91 97 99"],
  ["PUBREL", "62 04 0001", "00", "00 92"],
  ["PUBCOMP", "70 04 0001", "00", "00 92"],
  ["SUBACK", "90 04 0001 00", "", "00 01 02 80 83 87 8f 91 97 9e a1 a2"],
  ["UNSUBACK", "b0 04 0001 00", "", "00 11 80 83 87 8f 91"],
  [
    "DISCONNECT",
    "e0 02",
    "00",
    "00 04 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2",
  ],
  ["AUTH", "f0 06", "04 15 0001 'm'", "00 18 19"],
];

for (const [type, head, tail, allowed] of REASON_CODES) {
  Deno.test(`MQTT_5_0 takes the reason codes of ${type} and no others`, () => {
    const codes = new Set(bytes(allowed));
    for (let code = 0; code < 256; code++) {
      const data = Uint8Array.of(...bytes(head), code, ...bytes(tail));
      if (codes.has(code)) {
        const [packet] = decode(data, MQTT_5_0);
        assertEquals("reasonCodes" in packet ? packet.reasonCodes : "reasonCode" in packet && [packet.reasonCode], [
          code,
        ]);
        continue;
      }
      const error = errorOf([data], MQTT_5_0);
      assertEquals(error.reasonCode, 0x82);
      assertStringIncludes(error.message, `the reason code 0x${code.toString(16)} is not allowed here`);
    }
  });
}
