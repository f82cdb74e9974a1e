import { assertEquals, assertLess } from "@std/assert";
import fc from "fast-check";
import { Queue } from "../src/queue.ts";
import { heldBytes } from "./garbage.ts";

Deno.test("Queue.shift() gives the items in the order of push()", () => {
  const queue = new Queue<number>();
  queue.push(1);
  queue.push(2);
  assertEquals(queue.shift(), 1);
  queue.push(3);
  assertEquals([queue.shift(), queue.shift(), queue.shift()], [2, 3, undefined]);
  assertEquals(queue.length, 0);
});

Deno.test("Queue.peek() gives the oldest item and leaves it", () => {
  const queue = new Queue<string>();
  assertEquals(queue.peek(), undefined);
  queue.push("a");
  queue.push("b");
  assertEquals([queue.peek(), queue.peek(), queue.length], ["a", "a", 2]);
});

Deno.test("Queue.takeAll() gives all items and leaves none", () => {
  const queue = new Queue<number>();
  assertEquals(queue.takeAll(), []);
  for (let i = 0; i < 5; i++) queue.push(i);
  queue.shift();
  assertEquals(queue.takeAll(), [1, 2, 3, 4]);
  assertEquals([queue.length, queue.peek(), queue.shift()], [0, undefined, undefined]);
  queue.push(9);
  assertEquals(queue.shift(), 9);
});

Deno.test("Queue does what an array does", () => {
  const operation = fc.oneof(
    { weight: 5, arbitrary: fc.record({ name: fc.constant("push"), times: fc.nat({ max: 2000 }) }) },
    { weight: 5, arbitrary: fc.record({ name: fc.constant("shift"), times: fc.nat({ max: 2500 }) }) },
    { weight: 1, arbitrary: fc.record({ name: fc.constant("takeAll"), times: fc.constant(1) }) },
  );
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 20 }), (operations) => {
      const queue = new Queue<number>(), array: number[] = [];
      let next = 0;
      for (const { name, times } of operations) {
        for (let i = 0; i < times; i++) {
          if (name === "push") {
            queue.push(next);
            array.push(next++);
          } else if (name === "shift") {
            if (queue.shift() !== array.shift()) throw new Error("another item");
          } else assertEquals(queue.takeAll(), array.splice(0));
          if (queue.length !== array.length) throw new Error("another length");
          if (queue.peek() !== array[0]) throw new Error("another first item");
        }
      }
    }),
    { numRuns: 50 },
  );
});

Deno.test("Queue lets go of what was taken", () => {
  const queue = new Queue<Uint8Array>();
  const before = heldBytes();
  for (let i = 0; i < 4096; i++) {
    queue.push(new Uint8Array(64 * 1024)); // 256 MiB in all
    if (i >= 10) queue.shift();
  }
  assertLess(heldBytes() - before, 11 * 64 * 1024);
  assertEquals(queue.length, 10);
});
