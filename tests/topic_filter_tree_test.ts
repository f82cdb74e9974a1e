import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { matchTopic } from "../src/topic.ts";
import { TopicFilterTree } from "../src/topic_filter_tree.ts";

const level = fc.constantFrom("", "a", "b", "$SYS", "c d");
const topic = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join("/")).filter((name) =>
  name !== ""
);
const filter = fc.tuple(
  fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }),
  fc.constantFrom("", "/#"),
)
  .map(([levels, end]) => levels.join("/") + end).filter((name) => name !== "");

Deno.test("TopicFilterTree.match() gives the values of the filters that match, as matchTopic() has it", () => {
  fc.assert(fc.property(fc.array(filter), topic, (filters, topic) => {
    const tree = new TopicFilterTree<number>();
    for (const [i, filter] of filters.entries()) tree.add(filter, i);
    const expected = [...filters.keys()].filter((i) => matchTopic(filters[i], topic));
    assertEquals(tree.match(topic).sort((a, b) => a - b), expected);
  }));
});

Deno.test("TopicFilterTree.match() takes # for the level above it, and $share/group/ for nothing", () => {
  const tree = new TopicFilterTree<string>();
  for (const filter of ["#", "a/#", "$share/g/a/+", "+/b", "$SYS/#"]) tree.add(filter, filter);
  assertEquals(tree.match("a").sort(), ["#", "a/#"]);
  assertEquals(tree.match("a/b").sort(), ["#", "$share/g/a/+", "+/b", "a/#"]);
  assertEquals(tree.match("$SYS/x"), ["$SYS/#"]);
});

Deno.test("TopicFilterTree.remove() takes one value out and leaves the others", () => {
  const tree = new TopicFilterTree<number>();
  tree.add("a/+", 1);
  tree.add("a/+", 2);
  tree.add("a/b/c", 3);
  tree.remove("a/+", 1);
  tree.remove("a/x/y", 3);
  assertEquals([tree.match("a/b"), tree.match("a/b/c")], [[2], [3]]);
  tree.remove("a/+", 2);
  tree.remove("a/b/c", 3);
  assertEquals([tree.match("a/b"), tree.match("a/b/c")], [[], []]);
  tree.add("a", 4);
  tree.clear();
  assertEquals(tree.match("a"), []);
});

Deno.test("TopicFilterTree takes filters of as many levels as there can be", () => {
  const tree = new TopicFilterTree<number>();
  const topic = "/".repeat(65_535), any = "+/".repeat(32_767) + "#";
  tree.add(topic, 1);
  tree.add(any, 2);
  assertEquals(tree.match(topic).sort(), [1, 2]);
  tree.remove(topic, 1);
  tree.remove(any, 2);
  assertEquals(tree.match(topic), []);
});
