import { assertEquals } from "@std/assert";
import { publishFlags } from "../../src/codec/publish.ts";
import type { PublishPacket, QoS } from "../../src/packets.ts";
import { bytes, decode, encode } from "./bytes.ts";
import { properties, testLiterals, testMalformed } from "./tables.ts";

const publish: PublishPacket = {
  type: "PUBLISH",
  dup: false,
  qos: 0,
  retain: false,
  topic: "a/b",
  packetId: 0,
  properties,
  payload: new Uint8Array(0),
};

const acknowledgement = <Type extends string>(type: Type, packetId: number) =>
  ({ type, packetId, reasonCode: 0, properties }) as const;

testLiterals([
  { name: "PUBLISH of QoS 0 with an empty payload", bytes: "30 05 0003 'a/b'", packet: publish },
  {
    name: "PUBLISH of QoS 0",
    bytes: "30 0a 0003 'a/b' 'hello'",
    packet: { ...publish, payload: bytes("'hello'") },
  },
  { name: "a retained PUBLISH", bytes: "31 05 0003 'a/b'", packet: { ...publish, retain: true } },
  {
    // Figure 3.11 of the specification.
    name: "PUBLISH of QoS 1 (§3.3.2, figure 3.11)",
    bytes: "32 0a 0003 'a/b' 000a 'hey'",
    packet: { ...publish, qos: 1, packetId: 10, payload: bytes("'hey'") },
  },
  {
    name: "PUBLISH of QoS 1 with DUP, retained",
    bytes: "3b 07 0003 'a/b' ffff",
    packet: { ...publish, dup: true, qos: 1, retain: true, packetId: 65_535 },
  },
  { name: "PUBLISH of QoS 2", bytes: "34 07 0003 'a/b' 0100", packet: { ...publish, qos: 2, packetId: 256 } },
  {
    name: "PUBLISH of QoS 2 with DUP",
    bytes: "3c 07 0003 'a/b' 0001",
    packet: { ...publish, dup: true, qos: 2, packetId: 1 },
  },
  {
    // Figure 1.2 of the specification: A and U+2A6D4.
    name: "PUBLISH to a topic outside the Basic Multilingual Plane (§1.5.3, figure 1.2)",
    bytes: "30 07 0005 41 f0aa9b94",
    packet: { ...publish, topic: "A\u{2A6D4}" },
  },
  {
    name: "PUBLISH to a topic with U+FEFF, which is kept [MQTT-1.5.3-3]",
    bytes: "30 06 0004 efbbbf 61",
    packet: { ...publish, topic: "\uFEFFa" },
  },
  {
    name: "PUBLISH to a topic with *, spaces and $",
    bytes: "30 0a 0008 '$a * /é'",
    packet: { ...publish, topic: "$a * /é" },
  },
  {
    name: "PUBLISH with a payload of all kinds of bytes",
    bytes: "30 07 0001 '/' 00ff8000",
    packet: { ...publish, topic: "/", payload: bytes("00ff8000") },
  },
  { name: "PUBACK", bytes: "40 02 0001", packet: acknowledgement("PUBACK", 1) },
  { name: "PUBREC", bytes: "50 02 0102", packet: acknowledgement("PUBREC", 258) },
  { name: "PUBREL", bytes: "62 02 ffff", packet: acknowledgement("PUBREL", 65_535) },
  { name: "PUBCOMP", bytes: "70 02 00ff", packet: acknowledgement("PUBCOMP", 255) },
]);

testMalformed([
  { name: "PUBLISH of QoS 3 [MQTT-3.3.1-4]", bytes: "36 07 0003 'a/b' 0001", what: "the QoS is 3", byte: 0 },
  { name: "PUBLISH of QoS 3 with DUP", bytes: "3e 07 0003 'a/b' 0001", what: "the QoS is 3", byte: 0 },
  { name: "PUBLISH of QoS 0 with DUP [MQTT-3.3.1-2]", bytes: "38 05 0003 'a/b'", what: "DUP", byte: 0 },
  { name: "PUBLISH without fields", bytes: "30 00", what: "length of the topic name needs 2 bytes", byte: 2 },
  { name: "PUBLISH with half a topic length", bytes: "30 01 00", what: "length of the topic name", byte: 2 },
  {
    name: "PUBLISH whose topic is longer than the packet",
    bytes: "30 05 0004 'a/b'",
    what: "the topic name needs 4 bytes, 3 are left",
    byte: 4,
  },
  { name: "PUBLISH to an empty topic [MQTT-4.7.3-1]", bytes: "30 02 0000", what: "must not be empty", byte: 4 },
  { name: "PUBLISH to # [MQTT-3.3.2-2]", bytes: "30 05 0003 'a/#'", what: "wildcards", byte: 4 },
  { name: "PUBLISH to + [MQTT-3.3.2-2]", bytes: "30 05 0003 '+/b'", what: "wildcards", byte: 4 },
  { name: "PUBLISH to a topic with U+0000 [MQTT-1.5.3-2]", bytes: "30 05 0003 61 00 62", what: "U+0000", byte: 4 },
  {
    name: "PUBLISH of QoS 1 without a packet identifier",
    bytes: "32 05 0003 'a/b'",
    what: "packet identifier",
    byte: 7,
  },
  {
    name: "PUBLISH of QoS 2 with half a packet identifier",
    bytes: "34 06 0003 'a/b' 00",
    what: "packet identifier needs 2 bytes, 1 are left",
    byte: 7,
  },
  {
    name: "PUBLISH of QoS 1 with packet identifier 0 [MQTT-2.3.1-1]",
    bytes: "32 07 0003 'a/b' 0000",
    what: "packet identifier is 0",
    byte: 7,
  },
  ...[
    ["an overlong U+0000 (C0 80)", "c080"],
    ["an overlong slash (C0 AF)", "c0af"],
    ["an overlong slash in three bytes", "e080af"],
    ["a high surrogate (ED A0 80)", "eda080"],
    ["a surrogate pair in six bytes (CESU-8)", "eda081edb080"],
    ["a lone continuation byte", "80"],
    ["a sequence that is cut off", "e282"],
    ["a code point above U+10FFFF", "f4908080"],
    ["a byte that UTF-8 does not have", "ff"],
  ].map(([name, topic]) => ({
    name: `PUBLISH to a topic with ${name} [MQTT-1.5.3-1]`,
    bytes: `30 ${byte(2 + topic.length / 2)} 00${byte(topic.length / 2)} ${topic}`,
    what: "the topic name is not well-formed UTF-8",
    byte: 4,
  })),
  ...[["PUBACK", "40"], ["PUBREC", "50"], ["PUBREL", "62"], ["PUBCOMP", "70"]].flatMap(([type, first]) => [
    { name: `${type} without fields`, bytes: `${first} 00`, what: "packet identifier needs 2 bytes", byte: 2 },
    { name: `${type} with half an identifier`, bytes: `${first} 01 00`, what: "packet identifier", byte: 2 },
    { name: `${type} with packet identifier 0`, bytes: `${first} 02 0000`, what: "packet identifier is 0", byte: 2 },
    { name: `${type} with a byte too many`, bytes: `${first} 03 0001 00`, what: "1 bytes more", byte: 4 },
    { name: `${type} with many bytes too many`, bytes: `${first} 06 0001 00000000`, what: "4 bytes more", byte: 4 },
  ]),
]);

function byte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

Deno.test("publishFlags() gives DUP, QoS and RETAIN as their bits", () => {
  for (const dup of [false, true]) {
    for (const qos of [0, 1, 2] satisfies QoS[]) {
      for (const retain of [false, true]) {
        assertEquals(publishFlags({ ...publish, dup, qos, retain }), Number(dup) * 8 + qos * 2 + Number(retain));
      }
    }
  }
});

Deno.test("Encoder.encode() writes a topic of 65,535 bytes", () => {
  const packet = { ...publish, topic: "t".repeat(65_535), payload: bytes("'x'") };
  const data = encode(packet);
  assertEquals(data.length, 1 + 3 + 2 + 65_535 + 1);
  assertEquals(decode(data), [packet]);
});

Deno.test("Decoder.next() reads topics that it has read before, whatever they have in common", () => {
  const topics: string[] = [];
  for (let i = 0; i < 3000; i++) topics.push(`t/${i}`, `t/${i % 7}`, "t".repeat(1 + i % 140), `${i % 3}/t`);
  const packets = topics.map((topic) => ({ ...publish, topic }));
  const read = decode(encode(packets)).map((packet) => packet.type === "PUBLISH" ? packet.topic : packet.type);
  assertEquals(read, topics);
});
