import { assertEquals, assertStringIncludes } from "@std/assert";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import type { Packet } from "../../src/packets.ts";
import type { Properties } from "../../src/properties.ts";
import { bytes, decode, encode, hex } from "./bytes.ts";
import { errorOf } from "./tables.ts";

/** A property as §2.2.2.2 and the sections of the packets have it, with the bytes of a value and of faulty ones. */
interface Row {
  id: number;
  name: keyof Properties;
  owners: string;
  bytes: string;
  value: Properties[keyof Properties];
  /** Values that are well-formed and a protocol error. */
  outOfRange?: string[];
  repeats?: true;
}

const ANY =
  "CONNECT will CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH";
const NO_BIT = ["02", "7f", "ff"];

const ROWS: readonly Row[] = [
  { id: 1, name: "payloadFormatIndicator", owners: "PUBLISH will", bytes: "01", value: 1, outOfRange: NO_BIT },
  { id: 2, name: "messageExpiryInterval", owners: "PUBLISH will", bytes: "ffffffff", value: 4_294_967_295 },
  { id: 3, name: "contentType", owners: "PUBLISH will", bytes: "0002 'ct'", value: "ct" },
  {
    id: 8,
    name: "responseTopic",
    owners: "PUBLISH will",
    bytes: "0001 'r'",
    value: "r",
    outOfRange: ["0001 '+'", "0000"],
  },
  { id: 9, name: "correlationData", owners: "PUBLISH will", bytes: "0002 00ff", value: bytes("00ff") },
  { id: 11, name: "subscriptionIdentifier", owners: "SUBSCRIBE", bytes: "01", value: 1, outOfRange: ["00"] },
  {
    id: 11,
    name: "subscriptionIdentifiers",
    owners: "PUBLISH",
    bytes: "ffffff7f",
    value: [268_435_455],
    outOfRange: ["00"],
    repeats: true,
  },
  {
    id: 17,
    name: "sessionExpiryInterval",
    owners: "CONNECT CONNACK DISCONNECT",
    bytes: "80000000",
    value: 2_147_483_648,
  },
  { id: 18, name: "assignedClientIdentifier", owners: "CONNACK", bytes: "0000", value: "" },
  { id: 19, name: "serverKeepAlive", owners: "CONNACK", bytes: "0000", value: 0 },
  { id: 21, name: "authenticationMethod", owners: "CONNECT CONNACK AUTH", bytes: "0001 'm'", value: "m" },
  { id: 22, name: "authenticationData", owners: "CONNECT CONNACK AUTH", bytes: "0000", value: bytes("") },
  { id: 23, name: "requestProblemInformation", owners: "CONNECT", bytes: "00", value: 0, outOfRange: NO_BIT },
  { id: 24, name: "willDelayInterval", owners: "will", bytes: "00000000", value: 0 },
  { id: 25, name: "requestResponseInformation", owners: "CONNECT", bytes: "01", value: 1, outOfRange: NO_BIT },
  { id: 26, name: "responseInformation", owners: "CONNACK", bytes: "0001 'i'", value: "i" },
  { id: 28, name: "serverReference", owners: "CONNACK DISCONNECT", bytes: "0001 's'", value: "s" },
  {
    id: 31,
    name: "reasonString",
    owners: "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH",
    bytes: "0002 'é'",
    value: "é",
  },
  { id: 33, name: "receiveMaximum", owners: "CONNECT CONNACK", bytes: "ffff", value: 65_535, outOfRange: ["0000"] },
  { id: 34, name: "topicAliasMaximum", owners: "CONNECT CONNACK", bytes: "0000", value: 0 },
  { id: 35, name: "topicAlias", owners: "PUBLISH", bytes: "0001", value: 1 },
  { id: 36, name: "maximumQos", owners: "CONNACK", bytes: "01", value: 1, outOfRange: NO_BIT },
  { id: 37, name: "retainAvailable", owners: "CONNACK", bytes: "00", value: 0, outOfRange: NO_BIT },
  { id: 38, name: "userProperties", owners: ANY, bytes: "0001 'k' 0001 'v'", value: [["k", "v"]], repeats: true },
  {
    id: 39,
    name: "maximumPacketSize",
    owners: "CONNECT CONNACK",
    bytes: "ffffffff",
    value: 4_294_967_295,
    outOfRange: ["00000000"],
  },
  { id: 40, name: "wildcardSubscriptionAvailable", owners: "CONNACK", bytes: "00", value: 0, outOfRange: NO_BIT },
  { id: 41, name: "subscriptionIdentifiersAvailable", owners: "CONNACK", bytes: "01", value: 1, outOfRange: NO_BIT },
  { id: 42, name: "sharedSubscriptionAvailable", owners: "CONNACK", bytes: "00", value: 0, outOfRange: NO_BIT },
];

/** For each owner: the first byte, what stands before the properties, and what stands behind them. */
const FRAMES: Readonly<Record<string, readonly [first: number, before: string, behind: string]>> = {
  CONNECT: [0x10, "0004 'MQTT' 05 02 000a", "0000"],
  will: [0x10, "0004 'MQTT' 05 06 000a 00 0000", "0001 'w' 0000"],
  CONNACK: [0x20, "00 00", ""],
  PUBLISH: [0x30, "0001 't'", "'x'"],
  PUBACK: [0x40, "0001 00", ""],
  PUBREC: [0x50, "0001 00", ""],
  PUBREL: [0x62, "0001 00", ""],
  PUBCOMP: [0x70, "0001 00", ""],
  SUBSCRIBE: [0x82, "0001", "0001 'a' 00"],
  SUBACK: [0x90, "0001", "00"],
  UNSUBSCRIBE: [0xa2, "0001", "0001 'a'"],
  UNSUBACK: [0xb0, "0001", "00"],
  DISCONNECT: [0xe0, "00", ""],
  AUTH: [0xf0, "18", ""],
};

/** What properties need beside them. */
function companions(owner: string, id: number): string {
  return owner === "AUTH" && id !== 21 || id === 22 && rowOf(owner, 22) ? "15 0001 'm'" : "";
}

function frame(owner: string, properties: Uint8Array): Uint8Array {
  const [first, before, behind] = FRAMES[owner];
  const body = [...bytes(before), properties.length, ...properties, ...bytes(behind)];
  return Uint8Array.of(first, body.length, ...body);
}

function propertiesIn(packet: Packet, owner: string): Properties {
  const holder = owner === "will" && packet.type === "CONNECT" ? packet.will : packet;
  if (holder === undefined || !("properties" in holder)) throw new TypeError(`${owner} has no properties`);
  return holder.properties;
}

const idByte = (id: number) => id.toString(16).padStart(2, "0");
const rowOf = (owner: string, id: number) => ROWS.find((row) => row.id === id && row.owners.split(" ").includes(owner));

for (const owner of Object.keys(FRAMES)) {
  Deno.test(`readProperties() takes the properties of ${owner} and no others (§2.2.2.2)`, () => {
    for (let id = 0; id < 128; id++) {
      const row = rowOf(owner, id);
      const value = row ?? ROWS.find((row) => row.id === id);
      const data = frame(owner, bytes(companions(owner, id) + idByte(id) + (value?.bytes ?? "00")));
      if (row !== undefined) {
        const [packet] = decode(data, MQTT_5_0);
        assertEquals(propertiesIn(packet, owner)[row.name], row.value, row.name);
        assertEquals(hex(encode(packet, MQTT_5_0)), hex(data), row.name);
        continue;
      }
      const error = errorOf([data], MQTT_5_0);
      assertEquals(error.reasonCode, 0x81, `property ${id}`);
      assertStringIncludes(error.message, `the property 0x${id.toString(16)} is not allowed here`);
    }
  });

  Deno.test(`readProperties() takes a property of ${owner} a second time only where it may repeat`, () => {
    for (const row of ROWS.filter((row) => row.owners.split(" ").includes(owner))) {
      const once = idByte(row.id) + row.bytes;
      const data = frame(owner, bytes(companions(owner, row.id) + once + once));
      if (row.repeats && Array.isArray(row.value)) {
        const twice: unknown = [...row.value, ...row.value];
        assertEquals(propertiesIn(decode(data, MQTT_5_0)[0], owner)[row.name], twice);
      } else {
        const error = errorOf([data], MQTT_5_0);
        assertEquals(error.reasonCode, 0x82, row.name);
        assertStringIncludes(error.message, `a second ${row.name}`);
      }
    }
  });

  Deno.test(`readProperties() refuses values of properties of ${owner} that are out of range`, () => {
    for (const row of ROWS.filter((row) => row.owners.split(" ").includes(owner))) {
      for (const value of row.outOfRange ?? []) {
        const error = errorOf([frame(owner, bytes(companions(owner, row.id) + idByte(row.id) + value))], MQTT_5_0);
        assertEquals(error.reasonCode, 0x82, `${row.name} ${value}`);
        assertStringIncludes(error.message, row.name);
      }
    }
  });

  Deno.test(`readProperties() refuses every property of ${owner} that is cut short`, () => {
    for (const row of ROWS.filter((row) => row.owners.split(" ").includes(owner))) {
      const whole = bytes(row.bytes);
      for (let length = 0; length < whole.length; length++) {
        const cut = Uint8Array.of(...bytes(companions(owner, row.id)), row.id, ...whole.subarray(0, length));
        assertEquals(errorOf([frame(owner, cut)], MQTT_5_0).reasonCode, 0x81, `${row.name}, ${length} bytes`);
      }
    }
  });
}

Deno.test("readProperties() finds no properties in PINGREQ and PINGRESP", () => {
  for (const first of [0xc0, 0xd0]) {
    for (let id = 0; id < 128; id++) {
      assertEquals(errorOf([Uint8Array.of(first, 3, 2, id, 0)], MQTT_5_0).reasonCode, 0x81);
    }
  }
});

Deno.test("readProperties() takes properties in any order, and writeProperties() writes them by ascending identifier", () => {
  const data = frame("PUBLISH", bytes("26 0001 'k' 0001 'v' 23 0003 01 01"));
  const [packet] = decode(data, MQTT_5_0);
  assertEquals(propertiesIn(packet, "PUBLISH"), {
    payloadFormatIndicator: 1,
    topicAlias: 3,
    userProperties: [["k", "v"]],
  });
  assertEquals(hex(encode(packet, MQTT_5_0)), hex(frame("PUBLISH", bytes("01 01 23 0003 26 0001 'k' 0001 'v'"))));
});

Deno.test("readProperties() gives strings and bytes that outlive the chunk", () => {
  const data = frame("PUBLISH", bytes("03 0001 'c' 09 0002 0102"));
  const [packet] = decode(data, MQTT_5_0);
  data.fill(0xff);
  assertEquals(propertiesIn(packet, "PUBLISH"), { contentType: "c", correlationData: bytes("0102") });
});

Deno.test("writeProperties() leaves out what is undefined, and what the packet may not have", () => {
  const properties = { contentType: undefined, messageExpiryInterval: 1, maximumQos: 1 } as const;
  const data = encode({ ...decode(frame("PUBLISH", bytes("")), MQTT_5_0)[0], properties } as Packet, MQTT_5_0);
  assertEquals(hex(data), hex(frame("PUBLISH", bytes("02 00000001"))));
});
