import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { MQTT_3_1_1 } from "../../src/codec/dialect.ts";
import { Encoder } from "../../src/codec/encoder.ts";
import type { PublishPacket } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { packets, packetsByType } from "./arbitraries.ts";
import { bytes, concat, decode, encode, hex } from "./bytes.ts";
import { LONG_SAMPLE, SAMPLES } from "./samples.ts";

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

for (const [type, packet] of Object.entries(packetsByType)) {
  Deno.test(`Encoder.encode() writes any ${type} so that Decoder.next() reads it as it was`, () => {
    fc.assert(fc.property(packet, (packet) => assertEquals(decode(encode(packet)), [packet])), { numRuns: 200 });
  });
}

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
  const packets = [...SAMPLES, LONG_SAMPLE];
  const before = structuredClone(packets);
  encode(packets);
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
