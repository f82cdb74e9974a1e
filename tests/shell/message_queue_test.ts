import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ApplicationMessage } from "../../src/message.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { MessageQueue } from "../../src/shell/message_queue.ts";

const ENDED = new RangeError("ended");

function message(text: string): ApplicationMessage {
  const payload = new TextEncoder().encode(text);
  const fields = { dup: false, qos: 0, retain: false, topic: "a/b", packetId: 0, properties: NO_PROPERTIES } as const;
  return new ApplicationMessage({ type: "PUBLISH", ...fields, payload });
}

/** Makes a queue and the record of what it told of its fullness. */
function newQueue(limit = 1000): { queue: MessageQueue; told: boolean[] } {
  const told: boolean[] = [];
  return { queue: new MessageQueue(limit, (full) => told.push(full)), told };
}

function push(queue: MessageQueue, ...texts: string[]): void {
  for (const text of texts) queue.push(message(text));
}

/** Takes what is there. */
function shiftAll(queue: MessageQueue): string[] {
  const texts: string[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) texts.push(next.text());
  return texts;
}

const take = async (queue: MessageQueue, timeout?: number, signal?: AbortSignal) =>
  (await queue.take(timeout, signal)).text();

/** Gives the text of the next message, or `done`. */
async function next(iterator: AsyncIterator<ApplicationMessage>): Promise<string> {
  const result = await iterator.next();
  return result.done ? "done" : result.value.text();
}

Deno.test("MessageQueue.shift() gives the messages in the order of push()", () => {
  const { queue } = newQueue();
  assertEquals(queue.shift(), undefined);
  const first = message("1");
  queue.push(first);
  push(queue, "2", "3");
  assertEquals(queue.length, 3);
  assertStrictEquals(queue.shift(), first);
  assertEquals(shiftAll(queue), ["2", "3"]);
  assertEquals(queue.length, 0);
});

Deno.test("MessageQueue.take() gives what is there at once, whatever the timeout", async () => {
  const { queue } = newQueue();
  push(queue, "1", "2", "3");
  assertEquals([await take(queue), await take(queue, 0), await take(queue, 5)], ["1", "2", "3"]);
});

Deno.test("MessageQueue.take() serves those who wait in the order in which they came", async () => {
  const { queue } = newQueue();
  const taken = [take(queue), take(queue, 5), take(queue, undefined, new AbortController().signal)];
  push(queue, "1", "2", "3", "4");
  assertEquals(await Promise.all(taken), ["1", "2", "3"]);
  assertEquals(queue.length, 1);
});

Deno.test("MessageQueue.take() rejects with TimeoutError after the timeout, and loses no message", async () => {
  const { queue } = newQueue();
  const error = await assertRejects(() => queue.take(0.01, undefined), DOMException, "No message came within 0.01 s");
  assertEquals(error.name, "TimeoutError");
  push(queue, "1");
  assertEquals(queue.length, 1);
  assertEquals(await take(queue), "1");
});

Deno.test("MessageQueue.take() with a timeout of 0 rejects at once when there is nothing, and loses no message", async () => {
  const { queue } = newQueue();
  const taking = queue.take(0, undefined);
  push(queue, "1");
  const error = await assertRejects(() => taking, DOMException);
  assertEquals(error.name, "TimeoutError");
  assertEquals(shiftAll(queue), ["1"]);
});

Deno.test("MessageQueue.take() waits without end for a timeout beyond what a timer can do", async () => {
  const { queue } = newQueue();
  const taken = [take(queue, 3_000_000), take(queue, Infinity)];
  const { promise: aTurnLater, resolve } = Promise.withResolvers<void>();
  setTimeout(resolve, 2);
  await aTurnLater;
  push(queue, "1", "2");
  assertEquals(await Promise.all(taken), ["1", "2"]);
});

Deno.test("MessageQueue.take() rejects with the reason of a signal that aborts, and loses no message", async () => {
  const { queue } = newQueue();
  const controller = new AbortController();
  const taking = queue.take(5, controller.signal);
  const later = take(queue);
  controller.abort(ENDED);
  push(queue, "1");
  assertStrictEquals(await assertRejects(() => taking), ENDED);
  assertEquals(await later, "1");
});

Deno.test("MessageQueue.take() with a signal that is aborted takes nothing", async () => {
  const { queue } = newQueue();
  push(queue, "1");
  const signal = AbortSignal.abort(ENDED);
  assertStrictEquals(await assertRejects(() => queue.take(undefined, signal)), ENDED);
  assertEquals(queue.length, 1);
});

Deno.test("MessageQueue.take() leaves the signal alone once it is settled", async () => {
  const { queue } = newQueue();
  const controller = new AbortController();
  const taking = take(queue, undefined, controller.signal);
  push(queue, "1", "2");
  controller.abort(ENDED);
  assertEquals(await taking, "1");
  assertEquals(shiftAll(queue), ["2"]);
});

Deno.test("MessageQueue.take() that nobody waits for any more is no unhandled rejection", async () => {
  const { queue } = newQueue();
  const unhandled: unknown[] = [];
  const record = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unhandled.push(event.reason);
  };
  addEventListener("unhandledrejection", record);
  try {
    queue.take(0, undefined);
    queue.take(undefined, AbortSignal.abort(ENDED));
    queue.take(undefined, undefined);
    queue.iterator(() => {}).next();
    queue.end(ENDED, false);
    queue.take(undefined, undefined);
    const { promise: aTurnLater, resolve } = Promise.withResolvers<void>();
    setTimeout(resolve);
    await aTurnLater;
  } finally {
    removeEventListener("unhandledrejection", record);
  }
  assertEquals(unhandled, []);
});

Deno.test("MessageQueue tells that it is full at the limit, and that it has room at half of it, once each", () => {
  const { queue, told } = newQueue(4);
  push(queue, "1", "2", "3");
  assertEquals(told, []);
  push(queue, "4");
  assertEquals(told, [true]);
  push(queue, "5");
  queue.shift();
  queue.shift();
  assertEquals(told, [true]);
  queue.shift();
  assertEquals([queue.length, told], [2, [true, false]]);
  queue.shift();
  queue.shift();
  assertEquals(told, [true, false]);
  push(queue, "6", "7", "8", "9");
  assertEquals(told, [true, false, true]);
});

Deno.test("MessageQueue.slowDown() makes one that was full be so with 32, and have room when it is empty, until speedUp()", () => {
  const { queue, told } = newQueue(100);
  queue.slowDown();
  const names = (count: number) => Array.from({ length: count }, (_, i) => String(i));
  push(queue, ...names(99));
  assertEquals(told, []);
  push(queue, "100");
  queue.slowDown();
  for (let i = 0; i < 99; i++) queue.shift();
  assertEquals([queue.length, told], [1, [true]]);
  queue.shift();
  assertEquals(told, [true, false]);
  push(queue, ...names(31));
  assertEquals(told, [true, false]);
  push(queue, "32");
  assertEquals(told, [true, false, true]);
  queue.speedUp();
  push(queue, ...names(68));
  for (let i = 0; i < 99; i++) queue.shift();
  assertEquals([queue.length, told], [1, [true, false, true]]);
  queue.shift();
  assertEquals(told, [true, false, true, false]);
  push(queue, ...names(99));
  assertEquals(told, [true, false, true, false]);
  push(queue, "100");
  assertEquals(told, [true, false, true, false, true]);
});

Deno.test("MessageQueue with a limit of 1 is full with one message", () => {
  const { queue, told } = newQueue(1);
  push(queue, "1");
  assertEquals(told, [true]);
  queue.shift();
  assertEquals(told, [true, false]);
});

Deno.test("MessageQueue is not full of messages that somebody waits for", async () => {
  const { queue, told } = newQueue(1);
  const taken = [take(queue), take(queue)];
  push(queue, "1", "2");
  await Promise.all(taken);
  assertEquals(told, []);
});

Deno.test("MessageQueue.clear() drops the messages, and has room again", () => {
  const { queue, told } = newQueue(2);
  push(queue, "1");
  queue.clear();
  assertEquals([queue.length, told], [0, []]);
  push(queue, "2", "3");
  queue.clear();
  assertEquals([queue.length, told], [0, [true, false]]);
});

Deno.test("MessageQueue.end() rejects all who wait, and who comes after what is left was taken", async () => {
  for (const regular of [true, false]) {
    const { queue } = newQueue();
    const waiting = [queue.take(undefined, undefined), queue.take(5, undefined)];
    queue.end(ENDED, regular);
    for (const taking of waiting) assertStrictEquals(await assertRejects(() => taking), ENDED);
    assertStrictEquals(await assertRejects(() => queue.take(5, undefined)), ENDED);
  }
});

Deno.test("MessageQueue.end() leaves the messages, and no longer counts as full", async () => {
  const { queue, told } = newQueue(2);
  push(queue, "1", "2");
  queue.end(ENDED, true);
  assertEquals(told, [true, false]);
  assertEquals([await take(queue), await take(queue)], ["1", "2"]);
  await assertRejects(() => queue.take(undefined, undefined), RangeError, "ended");
});

Deno.test("MessageQueue.end() a second time changes nothing", async () => {
  const { queue } = newQueue();
  queue.end(ENDED, false);
  queue.end(new Error("another"), true);
  assertStrictEquals(await assertRejects(() => queue.take(undefined, undefined)), ENDED);
});

Deno.test("MessageQueue.reopen() lets wait again, and counts as full when it still is", async () => {
  const { queue, told } = newQueue(2);
  queue.end(ENDED, true);
  queue.reopen();
  const taking = take(queue);
  push(queue, "1");
  assertEquals(await taking, "1");
  push(queue, "2", "3");
  queue.end(ENDED, true);
  queue.reopen();
  assertEquals(told, [true, false, true]);
  assertEquals(shiftAll(queue), ["2", "3"]);
  assertEquals(told, [true, false, true, false]);
});

Deno.test("MessageQueue.iterator() gives what is there and what comes", async () => {
  const { queue } = newQueue();
  push(queue, "1");
  const iterator = queue.iterator(() => {});
  assertStrictEquals(iterator[Symbol.asyncIterator](), iterator);
  const results = [next(iterator), next(iterator), next(iterator)];
  push(queue, "2", "3", "4");
  assertEquals(await Promise.all(results), ["1", "2", "3"]);
  assertEquals(queue.length, 1);
});

Deno.test("MessageQueue.iterator() shares the messages with those who take, first come first served", async () => {
  const { queue } = newQueue();
  const iterator = queue.iterator(() => {});
  const results = [take(queue), next(iterator), take(queue), next(iterator)];
  push(queue, "1", "2", "3", "4");
  assertEquals(await Promise.all(results), ["1", "2", "3", "4"]);
});

Deno.test("MessageQueue.iterator() is done after a regular end, when what was left is taken", async () => {
  const { queue } = newQueue();
  const pending = queue.iterator(() => {});
  const waiting = [next(pending), next(pending)];
  queue.end(ENDED, true);
  assertEquals(await Promise.all(waiting), ["done", "done"]);

  queue.reopen();
  push(queue, "1");
  queue.end(ENDED, true);
  const texts: string[] = [];
  for await (const message of queue.iterator(() => {})) texts.push(message.text());
  assertEquals(texts, ["1"]);
});

Deno.test("MessageQueue.iterator() throws the error of another end, and is done after that", async () => {
  const { queue } = newQueue();
  push(queue, "1");
  const iterator = queue.iterator(() => {});
  queue.end(ENDED, false);
  assertEquals(await next(iterator), "1");
  assertStrictEquals(await assertRejects(() => iterator.next()), ENDED);
  assertEquals(await next(iterator), "done");
});

Deno.test("MessageQueue.iterator() that is left takes no message more, and tells once that it was", async () => {
  const { queue } = newQueue();
  let left = 0;
  push(queue, "1", "2");
  for await (const message of queue.iterator(() => left++)) {
    if (message.text() === "1") break;
  }
  assertEquals([left, shiftAll(queue)], [1, ["2"]]);
});

Deno.test("MessageQueue.iterator() whose return() is called while it waits is done, and others get the message", async () => {
  const { queue } = newQueue();
  const iterator = queue.iterator(() => {});
  const other = queue.iterator(() => {});
  const results = [next(iterator), next(other), next(iterator)];
  assertEquals(await iterator.return?.(), { done: true, value: undefined });
  push(queue, "1", "2");
  assertEquals(await Promise.all(results), ["done", "1", "done"]);
  assertEquals(await next(iterator), "done");
  assertEquals(shiftAll(queue), ["2"]);
});
