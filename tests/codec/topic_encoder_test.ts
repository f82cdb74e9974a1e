import { assertEquals, assertStrictEquals } from "@std/assert";
import fc from "fast-check";
import { TopicEncoder } from "../../src/codec/topic_encoder.ts";
import { topic } from "./arbitraries.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("TopicEncoder.encode() gives what TextEncoder does, for any topics in any order", () => {
  fc.assert(
    fc.property(fc.array(topic, { maxLength: 50 }), (topics) => {
      const encoder = new TopicEncoder();
      for (const topic of [...topics, ...topics]) assertEquals(encoder.encode(topic), utf8(topic));
    }),
  );
});

Deno.test("TopicEncoder.encode() gives the right bytes for thousands of topics, and for long ones", () => {
  const encoder = new TopicEncoder();
  for (let round = 0; round < 3; round++) {
    for (let i = 0; i < 3000; i++) {
      const topic = i % 100 === 0 ? `é${i}/`.repeat(i) || "é" : `sensor/${i}`;
      const encoded = encoder.encode(topic);
      if (encoded.length < 1000) assertEquals(encoded, utf8(topic));
      else assertEquals(new TextDecoder().decode(encoded), topic);
    }
  }
  assertEquals(encoder.encode(""), utf8(""));
});

Deno.test("TopicEncoder.encode() encodes a topic once", () => {
  const encoder = new TopicEncoder();
  const first = encoder.encode("a/b");
  assertStrictEquals(encoder.encode("a/b"), first);
  encoder.encode("c");
  assertStrictEquals(encoder.encode("a/b"), first);
});

Deno.test("TopicEncoder.encode() begins anew when it remembers all that it can", () => {
  const encoder = new TopicEncoder();
  const first = encoder.encode("t/0");
  for (let i = 1; i < 16_385; i++) encoder.encode(`t/${i}`);
  const again = encoder.encode("t/0");
  assertEquals([again, again === first], [first, false]);
});
