import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { TopicCache } from "../../src/codec/topic_cache.ts";
import { topic } from "./arbitraries.ts";
import { bytes, concat } from "./bytes.ts";

const utf8 = (text: string) => new TextEncoder().encode(text);

Deno.test("TopicCache.get() gives a topic that was put, from another place of another buffer", () => {
  const cache = new TopicCache();
  const put = concat([bytes("ffff"), utf8("a/b")]);
  cache.put(put, 2, 5, "a/b");
  put.fill(0);
  assertEquals(cache.get(concat([utf8("xa/bx")]), 1, 4), "a/b");
});

Deno.test("TopicCache.get() knows nothing that was not put", () => {
  const cache = new TopicCache();
  assertEquals(cache.get(utf8("a"), 0, 1), undefined);
  cache.put(utf8("a/b"), 0, 3, "a/b");
  for (const other of ["", "a", "a/", "a/c", "b/b", "a/b/", "/a/b"]) {
    assertEquals(cache.get(utf8(other), 0, utf8(other).length), undefined, other);
  }
});

Deno.test("TopicCache.put() does not remember a topic of no or of very many bytes", () => {
  const cache = new TopicCache();
  for (const long of ["", "t".repeat(129), "t".repeat(65_535)]) {
    cache.put(utf8(long), 0, long.length, long);
    assertEquals(cache.get(utf8(long), 0, long.length), undefined);
  }
  cache.put(utf8("t".repeat(128)), 0, 128, "t".repeat(128));
  assertEquals(cache.get(utf8("t".repeat(128)), 0, 128), "t".repeat(128));
});

Deno.test("TopicCache.get() never gives another topic, however many there are", () => {
  fc.assert(
    fc.property(fc.array(topic, { maxLength: 50 }), (topics) => {
      const cache = new TopicCache();
      for (const topic of topics) {
        const data = utf8(topic);
        const known = cache.get(data, 0, data.length);
        if (known === undefined) cache.put(data, 0, data.length, topic);
        else assertEquals(known, topic);
      }
    }),
  );
  const cache = new TopicCache();
  for (let i = 0; i < 20_000; i++) {
    const topic = `sensor/${i * 7919 % 5000}/state`, data = utf8(topic);
    const known = cache.get(data, 0, data.length);
    if (known === undefined) cache.put(data, 0, data.length, topic);
    else assertEquals(known, topic);
  }
});

Deno.test("TopicCache.get() gives each of thousands of topics that were put", () => {
  const cache = new TopicCache();
  const topics = Array.from({ length: 8000 }, (_, i) => `sensor/${i}/state`);
  for (const topic of topics) cache.put(utf8(topic), 0, utf8(topic).length, topic);
  const known = topics.filter((topic) => cache.get(utf8(topic), 0, utf8(topic).length) === topic);
  assert(known.length > 0.98 * topics.length, `${known.length} are known`);
});

Deno.test("TopicCache.put() goes on with a topic when it remembers all that it can", () => {
  const cache = new TopicCache();
  const topics = Array.from({ length: 16_385 }, (_, i) => `t/${i}`);
  for (const topic of topics) cache.put(utf8(topic), 0, topic.length, topic);
  const known = topics.filter((topic) => cache.get(utf8(topic), 0, topic.length) !== undefined);
  assertEquals(known, ["t/16384"]);
});
