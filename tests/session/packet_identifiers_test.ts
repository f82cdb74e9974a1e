import { assertEquals } from "@std/assert";
import { PacketIdentifiers } from "../../src/session/packet_identifiers.ts";
import { Random, seedOf } from "../random.ts";

Deno.test("PacketIdentifiers.assign() gives 1 first, and each time one more", () => {
  const identifiers = new PacketIdentifiers<string>();
  assertEquals(["a", "b", "c"].map((flow) => identifiers.assign(flow)), [1, 2, 3]);
  identifiers.free(1);
  identifiers.free(2);
  assertEquals(identifiers.assign("d"), 4);
});

Deno.test("PacketIdentifiers.assign() gives 1 after 65,535", () => {
  const identifiers = new PacketIdentifiers<number>();
  for (let i = 1; i <= 65_535; i++) identifiers.free(identifiers.assign(i));
  assertEquals([identifiers.assign(1), identifiers.assign(2)], [1, 2]);
});

Deno.test("PacketIdentifiers.assign() skips what is in use [MQTT-2.3.1-2]", () => {
  const identifiers = new PacketIdentifiers<number>();
  for (let i = 1; i <= 65_535; i++) {
    const packetId = identifiers.assign(i);
    if (packetId !== 2 && packetId !== 3) identifiers.free(packetId);
  }
  assertEquals([identifiers.assign(1), identifiers.assign(2)], [1, 4]);
});

Deno.test("PacketIdentifiers.exhausted says that all 65,535 are in use; the one that is freed comes next", () => {
  const identifiers = new PacketIdentifiers<number>();
  for (let i = 1; i <= 65_535; i++) {
    assertEquals(identifiers.exhausted, false);
    identifiers.assign(i);
  }
  assertEquals(identifiers.exhausted, true);
  identifiers.free(40_000);
  assertEquals(identifiers.exhausted, false);
  assertEquals(identifiers.assign(0), 40_000);
  assertEquals(identifiers.exhausted, true);
});

Deno.test("PacketIdentifiers.get() gives what uses an identifier", () => {
  const identifiers = new PacketIdentifiers<string>();
  identifiers.assign("a");
  identifiers.assign("b");
  identifiers.free(1);
  assertEquals([0, 1, 2, 3, 65_535].map((packetId) => identifiers.get(packetId)), [
    undefined,
    undefined,
    "b",
    undefined,
    undefined,
  ]);
  assertEquals(identifiers.flows(), ["b"]);
});

Deno.test("PacketIdentifiers.free() does nothing to what is free", () => {
  const identifiers = new PacketIdentifiers<number>();
  for (const packetId of [0, 1, 65_535]) identifiers.free(packetId);
  for (let i = 1; i <= 65_535; i++) identifiers.assign(i);
  assertEquals(identifiers.exhausted, true);
  identifiers.free(7);
  identifiers.free(7);
  identifiers.assign(7);
  assertEquals(identifiers.exhausted, true);
});

Deno.test("PacketIdentifiers.reset() frees all of them and begins with 1", () => {
  const identifiers = new PacketIdentifiers<number>();
  for (let i = 1; i <= 65_535; i++) identifiers.assign(i);
  identifiers.reset();
  assertEquals([identifiers.exhausted, identifiers.flows()], [false, []]);
  assertEquals(identifiers.assign(1), 1);
});

Deno.test("PacketIdentifiers never gives an identifier that is in use, and always the next free one", () => {
  const random = new Random(seedOf("IDENTIFIERS_SEED"));
  const identifiers = new PacketIdentifiers<number>();
  const used = new Set<number>();
  let last = 0;
  for (let i = 0; i < 100_000; i++) {
    if (used.size < 65_535 && (i < 60_000 || random.oneIn(2))) {
      let expected = last % 65_535 + 1;
      while (used.has(expected)) expected = expected % 65_535 + 1;
      last = identifiers.assign(i);
      if (last !== expected) throw new Error(`${last} instead of ${expected}`);
      used.add(last);
    } else {
      const packetId = 1 + random.below(65_535);
      identifiers.free(packetId);
      used.delete(packetId);
    }
  }
  assertEquals(identifiers.flows().length, used.size);
});
