import { assert, assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { MQTT_3_1_1 } from "../../src/codec/mqtt_3_1_1.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import { MQTT_5_0 } from "../../src/codec/mqtt_5_0.ts";
import type { Packet, PublishPacket } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { packets, packetsByType, packetsByType5 } from "./arbitraries.ts";
import { bytes, concat, decode, encode, hex } from "./bytes.ts";
import { LONG_SAMPLE, SAMPLES, SAMPLES_5_0 } from "./samples.ts";

const publish: PublishPacket = {
  type: "PUBLISH",
  dup: false,
  qos: 0,
  retain: false,
  topic: "a/b",
  packetId: 0,
  properties: NO_PROPERTIES,
  payload: new Uint8Array(0),
};

for (
  const [name, dialect, arbitraries] of [
    ["MQTT 3.1.1", MQTT_3_1_1, packetsByType],
    ["MQTT 5.0", MQTT_5_0, packetsByType5],
  ] as const
) {
  for (const [type, packet] of Object.entries(arbitraries)) {
    Deno.test(`Encoder.encode() writes any ${type} so that Decoder.next() reads it as it was (${name})`, () => {
      const isReadAsItWas = (packet: Packet) => assertEquals(decode(encode(packet, dialect), dialect), [packet]);
      fc.assert(fc.property(packet, isReadAsItWas), { numRuns: 200 });
    });
    Deno.test(`Encoder.sizeOf() gives the bytes that Encoder.encode() writes for any ${type} (${name})`, () => {
      fc.assert(fc.property(packet, (packet) => {
        const encoder = new Encoder(dialect);
        const size = encoder.sizeOf(packet);
        assertEquals(encoder.length, 0);
        encoder.encode(packet);
        assertEquals(encoder.length, size);
        assertEquals(encoder.sizeOf(packet), size);
        assertEquals(hex(concat(encoder.take())), hex(encode(packet, dialect)));
      }));
    });
  }
}

Deno.test("Encoder.sizeOf() does not copy the payload", () => {
  const payload = new Uint8Array(64 * 1024 * 1024);
  const encoder = new Encoder(MQTT_5_0);
  const before = Deno.memoryUsage().external;
  assertEquals(encoder.sizeOf({ ...publish, payload }), 1 + 4 + 5 + 1 + payload.length);
  assertLess(Deno.memoryUsage().external - before, 1024 * 1024);
});

Deno.test("Encoder.encode() writes packets one behind the other, as each alone", () => {
  fc.assert(
    fc.property(packets, (packets) => {
      assertEquals(hex(encode(packets)), hex(concat(packets.map((packet) => encode(packet)))));
    }),
  );
});

Deno.test("Encoder.encode() writes Remaining Length in one to four bytes (§2.2.3, table 2.4)", () => {
  const table: [number, string][] = [
    [5, "05"],
    [127, "7f"],
    [128, "8001"],
    [16_383, "ff7f"],
    [16_384, "808001"],
    [2_097_151, "ffff7f"],
    [2_097_152, "80808001"],
    [268_435_455, "ffffff7f"],
  ];
  for (const [remainingLength, literal] of table) {
    const encoder = new Encoder(MQTT_3_1_1, 1024);
    encoder.encode({ ...publish, payload: new Uint8Array(remainingLength - 5) });
    const [head] = encoder.take();
    assertEquals(hex(head.subarray(0, 6 + literal.length / 2)), `30${literal}0003612f62`);
  }
});

Deno.test("Encoder.encode() does not change the packet", () => {
  const packets = [...SAMPLES, LONG_SAMPLE, ...SAMPLES_5_0];
  const before = structuredClone(packets);
  encode(packets);
  encode(packets, MQTT_5_0);
  const encoder = new Encoder(MQTT_5_0);
  encoder.maximumPacketSize = 1;
  for (const packet of packets) encoder.encode(packet);
  assertEquals(packets, before);
});

Deno.test("Encoder.length counts the bytes that are not taken", () => {
  const encoder = new Encoder(MQTT_3_1_1, 100);
  assertEquals(encoder.length, 0);
  encoder.encode({ type: "PINGREQ" });
  assertEquals(encoder.length, 2);
  encoder.encode({ ...publish, payload: new Uint8Array(100) });
  assertEquals(encoder.length, 2 + 107);
  encoder.encode({ type: "PINGREQ" });
  assertEquals(encoder.length, 2 + 107 + 2);
  assertEquals(concat(encoder.take()).length, 2 + 107 + 2);
  assertEquals(encoder.length, 0);
});

Deno.test("Encoder.take() gives nothing when nothing was encoded", () => {
  const encoder = new Encoder(MQTT_3_1_1);
  assertEquals(encoder.take(), []);
  encoder.encode({ type: "PINGREQ" });
  encoder.take();
  assertEquals(encoder.take(), []);
});

Deno.test("Encoder.take() gives a large payload by reference, in its place", () => {
  const encoder = new Encoder(MQTT_3_1_1, 1000);
  const large = new Uint8Array(1000).fill(1),
    larger = new Uint8Array(70_000).fill(2),
    small = new Uint8Array(999).fill(3);
  const packets = [
    { type: "PINGREQ" } as const,
    { ...publish, payload: large },
    { ...publish, payload: larger },
    { ...publish, payload: small },
    { ...publish, payload: large },
    { type: "PINGREQ" } as const,
  ];
  for (const packet of packets) encoder.encode(packet);
  const chunks = encoder.take();
  assertEquals(chunks.filter((chunk) => chunk === large).length, 2);
  assertEquals(chunks.filter((chunk) => chunk === larger).length, 1);
  assert(!chunks.includes(small));
  assertEquals(decode(concat(chunks)), packets);
});

Deno.test("Encoder.take() gives a small payload as it was when it was encoded", () => {
  for (const largePayload of [64 * 1024, undefined]) {
    const encoder = new Encoder(MQTT_3_1_1, largePayload);
    const payload = bytes("'before'");
    encoder.encode({ ...publish, payload });
    payload.fill(0);
    assertEquals(decode(concat(encoder.take())), [{ ...publish, payload: bytes("'before'") }]);
  }
});

Deno.test("Encoder.take() gives bytes that hold while the next ones are encoded, up to the next call", () => {
  const encoder = new Encoder(MQTT_3_1_1, 1000);
  let held: Uint8Array[] = [], expected = "";
  for (let round = 0; round < 20; round++) {
    for (let i = 0; i <= round % 5; i++) {
      encoder.encode({
        ...publish,
        topic: `round/${round}`,
        payload: new Uint8Array((round * 397 + i) % 3000).fill(round),
      });
      encoder.encode({ type: "SUBSCRIBE", packetId: 1, subscriptions: [], properties: NO_PROPERTIES });
    }
    assertEquals(hex(concat(held)), expected);
    held = encoder.take();
    expected = hex(concat(held));
  }
});

Deno.test("Encoder.encode() grows from packets of a few bytes to such of MiB, and back", () => {
  const encoder = new Encoder(MQTT_3_1_1);
  for (const size of [0, 1, 64, 65, 500, 511, 512, 513, 5000, 65_536, 1_000_000, 3_000_000, 70, 0]) {
    const payload = new Uint8Array(size).fill(size);
    const packets = [{ ...publish, payload }, { type: "PINGREQ" } as const, {
      ...publish,
      topic: "ä".repeat(size % 1000 + 1),
    }];
    for (const packet of packets) encoder.encode(packet);
    const data = concat(encoder.take());
    assertEquals(hex(data.subarray(-2000)), hex(encode(packets).subarray(-2000)));
    assertEquals(decode(data).length, packets.length);
  }
});

Deno.test("Encoder.encode() keeps small packets and large payloads in order, whatever their sizes", () => {
  const size = fc.oneof(
    fc.nat({ max: 100 }),
    fc.constantFrom(255, 256, 257, 511, 512, 513, 1024),
    fc.nat({ max: 5000 }),
  );
  fc.assert(
    fc.property(fc.array(fc.array(size), { maxLength: 6 }), (rounds) => {
      const encoder = new Encoder(MQTT_3_1_1, 256);
      let number = 0;
      for (const sizes of rounds) {
        const packets = sizes.map((size) => ({ ...publish, payload: new Uint8Array(size).fill(++number) }));
        for (const packet of packets) encoder.encode(packet);
        assertEquals(hex(concat(encoder.take())), hex(concat(packets.map((packet) => encode(packet)))));
      }
    }),
  );
});

// The size that the receiver accepts.

const REASON = { reasonString: "why", userProperties: [["k", "v"]] as [string, string][] };

/** Encodes for a receiver of packets of that size. */
function encodeWithin(maximumPacketSize: number, packet: Packet): string {
  const encoder = new Encoder(MQTT_5_0);
  encoder.maximumPacketSize = maximumPacketSize;
  encoder.encode(packet);
  return hex(concat(encoder.take()));
}

Deno.test("Encoder.encode() leaves out the reason string, then the user properties, of an acknowledgement that would be too large [MQTT5-3.4.2-2]", () => {
  const puback: Packet = { type: "PUBACK", packetId: 1, reasonCode: 0, properties: REASON };
  const whole = "40 11 0001 00 0d 1f 0003 'why' 26 0001 'k' 0001 'v'";
  const table: [number, string][] = [
    [Infinity, whole],
    [19, whole],
    [18, "40 0b 0001 00 07 26 0001 'k' 0001 'v'"],
    [13, "40 0b 0001 00 07 26 0001 'k' 0001 'v'"],
    [12, "40 02 0001"],
    [1, "40 02 0001"],
  ];
  for (const [size, literal] of table) assertEquals(encodeWithin(size, puback), hex(bytes(literal)), `${size} bytes`);
});

Deno.test("Encoder.encode() leaves a reason out of every packet that may hold one, and keeps the other properties", () => {
  const packets: [packet: Packet, left: string][] = [
    [
      {
        type: "CONNACK",
        sessionPresent: false,
        returnCode: 0,
        reasonCode: 0,
        properties: { ...REASON, maximumQos: 1 },
      },
      "20 05 00 00 02 24 01",
    ],
    [{ type: "PUBREC", packetId: 1, reasonCode: 0x80, properties: REASON }, "50 03 0001 80"],
    [{ type: "PUBREL", packetId: 1, reasonCode: 0x92, properties: REASON }, "62 03 0001 92"],
    [{ type: "PUBCOMP", packetId: 1, reasonCode: 0, properties: REASON }, "70 02 0001"],
    [{ type: "SUBACK", packetId: 1, reasonCodes: [1], properties: REASON }, "90 04 0001 00 01"],
    [{ type: "UNSUBACK", packetId: 1, reasonCodes: [0], properties: REASON }, "b0 04 0001 00 00"],
    [{ type: "DISCONNECT", reasonCode: 0, properties: REASON }, "e0 00"],
    [
      { type: "AUTH", reasonCode: 0x18, properties: { ...REASON, authenticationMethod: "m" } },
      "f0 06 18 04 15 0001 'm'",
    ],
  ];
  for (const [packet, left] of packets) {
    assertEquals(encodeWithin(8, packet), hex(bytes(left)), packet.type);
    assertEquals(encodeWithin(1000, packet), hex(encode(packet, MQTT_5_0)), packet.type);
  }
});

Deno.test("Encoder.encode() keeps the user properties of packets that have no reason", () => {
  const properties = { userProperties: REASON.userProperties };
  const packets: Packet[] = [
    { ...publish, properties },
    { type: "UNSUBSCRIBE", packetId: 1, topicFilters: ["a"], properties },
    { type: "PINGREQ" },
  ];
  for (const packet of packets) assertEquals(encodeWithin(1, packet), hex(encode(packet, MQTT_5_0)));
});

Deno.test("Encoder.sizeOf() counts what Encoder.encode() would leave out", () => {
  const encoder = new Encoder(MQTT_5_0);
  encoder.maximumPacketSize = 4;
  assertEquals(encoder.sizeOf({ type: "PUBACK", packetId: 1, reasonCode: 0, properties: REASON }), 19);
});
