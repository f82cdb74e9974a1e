import { assertEquals } from "@std/assert";
import type { ConnackPacket, ConnectPacket } from "../../src/packets.ts";
import { bytes, decode, encode, hex } from "./bytes.ts";
import { errorOf, properties, testLiterals, testMalformed } from "./tables.ts";

const connect: ConnectPacket = {
  type: "CONNECT",
  protocolVersion: 4,
  clientId: "",
  cleanStart: true,
  keepAlive: 10,
  username: undefined,
  password: undefined,
  will: undefined,
  properties,
};
const will = { topic: "w", payload: bytes("'gone'"), qos: 0, retain: false, properties } as const;

const connack = (sessionPresent: boolean, returnCode: number, reasonCode: number): ConnackPacket => ({
  type: "CONNACK",
  sessionPresent,
  returnCode,
  reasonCode,
  properties,
});

testLiterals([
  { name: "CONNECT with an empty client identifier", bytes: "10 0c 0004 'MQTT' 04 02 000a 0000", packet: connect },
  {
    name: "CONNECT with a client identifier, Clean Session off and no Keep Alive",
    bytes: "10 10 0004 'MQTT' 04 00 0000 0004 'test'",
    packet: { ...connect, clientId: "test", cleanStart: false, keepAlive: 0 },
  },
  {
    name: "CONNECT with the longest Keep Alive",
    bytes: "10 0c 0004 'MQTT' 04 02 ffff 0000",
    packet: { ...connect, keepAlive: 65_535 },
  },
  {
    // The variable header is figure 3.6 of the specification.
    name: "CONNECT with everything (§3.1.2, figure 3.6)",
    bytes: "10 27 0004 'MQTT' 04 ce 000a 0004 'test' 0001 'w' 0004 'gone' 0004 'user' 0006 'secret'",
    packet: {
      ...connect,
      clientId: "test",
      username: "user",
      password: bytes("'secret'"),
      will: { ...will, qos: 1 },
    },
  },
  {
    name: "CONNECT with a will of QoS 0",
    bytes: "10 15 0004 'MQTT' 04 06 000a 0000 0001 'w' 0004 'gone'",
    packet: { ...connect, will },
  },
  {
    name: "CONNECT with a retained, empty will of QoS 2",
    bytes: "10 11 0004 'MQTT' 04 36 000a 0000 0001 'w' 0000",
    packet: { ...connect, will: { ...will, payload: new Uint8Array(0), qos: 2, retain: true } },
  },
  {
    name: "CONNECT with a user name only",
    bytes: "10 12 0004 'MQTT' 04 82 000a 0000 0004 'user'",
    packet: { ...connect, username: "user" },
  },
  {
    name: "CONNECT with an empty user name and an empty password",
    bytes: "10 10 0004 'MQTT' 04 c2 000a 0000 0000 0000",
    packet: { ...connect, username: "", password: new Uint8Array(0) },
  },
  {
    name: "CONNECT with a password that is not UTF-8",
    bytes: "10 13 0004 'MQTT' 04 c2 000a 0000 0001 'u' 0002 00ff",
    packet: { ...connect, username: "u", password: bytes("00ff") },
  },
  { name: "CONNACK of a new session", bytes: "20 02 00 00", packet: connack(false, 0, 0) },
  { name: "CONNACK of a present session", bytes: "20 02 01 00", packet: connack(true, 0, 0) },
  { name: "CONNACK 1, unacceptable protocol version", bytes: "20 02 00 01", packet: connack(false, 1, 0x84) },
  { name: "CONNACK 2, identifier rejected", bytes: "20 02 00 02", packet: connack(false, 2, 0x85) },
  { name: "CONNACK 3, server unavailable", bytes: "20 02 00 03", packet: connack(false, 3, 0x88) },
  { name: "CONNACK 4, bad user name or password", bytes: "20 02 00 04", packet: connack(false, 4, 0x86) },
  { name: "CONNACK 5, not authorized", bytes: "20 02 00 05", packet: connack(false, 5, 0x87) },
  { name: "PINGREQ", bytes: "c0 00", packet: { type: "PINGREQ" } },
  { name: "PINGRESP", bytes: "d0 00", packet: { type: "PINGRESP" } },
  { name: "DISCONNECT", bytes: "e0 00", packet: { type: "DISCONNECT", reasonCode: 0, properties } },
]);

testMalformed([
  { name: "CONNACK without fields", bytes: "20 00", what: "acknowledge flags", byte: 2 },
  { name: "CONNACK without a return code", bytes: "20 01 00", what: "return code", byte: 3 },
  { name: "CONNACK with a byte too many", bytes: "20 03 00 00 00", what: "1 bytes more", byte: 4 },
  { name: "CONNACK with a reserved flag", bytes: "20 02 02 00", what: "acknowledge flags are 0x2", byte: 2 },
  { name: "CONNACK with return code 6", bytes: "20 02 00 06", what: "return code 6 is reserved", byte: 3 },
  { name: "CONNACK with return code 255", bytes: "20 02 00 ff", what: "return code 255 is reserved", byte: 3 },
  {
    name: "CONNACK that refuses with a session present [MQTT-3.2.2-4]",
    bytes: "20 02 01 05",
    what: "session present",
    byte: 2,
  },
  { name: "PINGREQ with a byte too many", bytes: "c0 01 00", what: "1 bytes more", byte: 2 },
  { name: "PINGRESP with a byte too many", bytes: "d0 01 00", what: "1 bytes more", byte: 2 },
  { name: "DISCONNECT with a byte too many", bytes: "e0 01 00", what: "1 bytes more", byte: 2 },
  { name: "CONNECT without fields", bytes: "10 00", what: "protocol name", byte: 2 },
  {
    name: "CONNECT with another protocol name",
    bytes: "10 0e 0006 'MQIsdp' 03 02 000a 0000",
    what: `the protocol name is "MQIsdp"`,
    byte: 4,
  },
  {
    name: "CONNECT of protocol level 3",
    bytes: "10 0c 0004 'MQTT' 03 02 000a 0000",
    what: "the protocol level is 3",
    byte: 8,
    reasonCode: 0x84,
  },
  {
    name: "CONNECT of protocol level 5 in the dialect of 3.1.1",
    bytes: "10 0d 0004 'MQTT' 05 02 000a 00 0000",
    what: "the protocol level is 5",
    byte: 8,
    reasonCode: 0x84,
  },
  {
    name: "CONNECT with the reserved flag [MQTT-3.1.2-3]",
    bytes: "10 0c 0004 'MQTT' 04 03 000a 0000",
    what: "reserved flag",
    byte: 9,
  },
  {
    name: "CONNECT with a will of QoS 3 [MQTT-3.1.2-14]",
    bytes: "10 11 0004 'MQTT' 04 1e 000a 0000 0001 'w' 0000",
    what: "QoS of the will is 3",
    byte: 9,
  },
  {
    name: "CONNECT with the QoS of a will that is not there [MQTT-3.1.2-13]",
    bytes: "10 0c 0004 'MQTT' 04 0a 000a 0000",
    what: "without a will",
    byte: 9,
  },
  {
    name: "CONNECT that retains a will that is not there [MQTT-3.1.2-15]",
    bytes: "10 0c 0004 'MQTT' 04 22 000a 0000",
    what: "without a will",
    byte: 9,
  },
  {
    name: "CONNECT with a password and no user name [MQTT-3.1.2-22]",
    bytes: "10 0e 0004 'MQTT' 04 42 000a 0000 0000",
    what: "password without a user name",
    byte: 9,
  },
  {
    name: "CONNECT whose client identifier is cut off",
    bytes: "10 0e 0004 'MQTT' 04 02 000a 0004 'te'",
    what: "client identifier needs 4 bytes, 2 are left",
    byte: 14,
  },
  {
    name: "CONNECT whose client identifier is not UTF-8",
    bytes: "10 0d 0004 'MQTT' 04 02 000a 0001 ff",
    what: "client identifier is not well-formed UTF-8",
    byte: 14,
  },
  {
    name: "CONNECT whose user name holds U+0000",
    bytes: "10 0f 0004 'MQTT' 04 82 000a 0000 0001 00",
    what: "user name holds U+0000",
    byte: 16,
  },
  {
    name: "CONNECT whose will goes to a wildcard topic",
    bytes: "10 11 0004 'MQTT' 04 06 000a 0000 0001 '#' 0000",
    what: "wildcards",
    byte: 16,
  },
  {
    name: "CONNECT without the user name that its flags announce",
    bytes: "10 0c 0004 'MQTT' 04 82 000a 0000",
    what: "length of the user name needs 2 bytes, 0 are left",
    byte: 14,
  },
  {
    name: "CONNECT with a byte too many",
    bytes: "10 0d 0004 'MQTT' 04 02 000a 0000 00",
    what: "1 bytes more",
    byte: 14,
  },
]);

Deno.test("Decoder.next() counts the connect flags' byte from the start of the packet, however long its header is", () => {
  const malformed = bytes(`10 8c01 0004 'MQTT' 04 03 000a 0080 '${"c".repeat(128)}'`);
  assertEquals(errorOf([malformed]).message.match(/\(byte \d+/)?.[0], "(byte 10");
});

Deno.test("Encoder.encode() writes a client identifier of 65,535 bytes", () => {
  const clientId = "é".repeat(32_767) + "x";
  const data = encode({ ...connect, clientId });
  assertEquals(hex(data.subarray(0, 18)), hex(bytes("10 8b8004 0004 'MQTT' 04 02 000a ffff c3a9")));
  assertEquals(decode(data), [{ ...connect, clientId }]);
});

Deno.test("Decoder.next() gives a password and a will that outlive the chunk", () => {
  const data = encode({ ...connect, username: "u", password: bytes("'secret'"), will });
  const [packet] = decode(data);
  data.fill(0xff);
  assertEquals(packet, { ...connect, username: "u", password: bytes("'secret'"), will });
});
