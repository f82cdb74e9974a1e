import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { ApplicationMessage } from "../../src/message.ts";
import type { SubscribePacket } from "../../src/packets.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";
import { SubscriptionIdentifiers } from "../../src/session/subscription_identifiers.ts";
import { Inbox } from "../../src/shell/inbox.ts";

const ENDED = new RangeError("ended");

function deliver(inbox: Inbox, topic: string, ...texts: string[]): void {
  for (const text of texts) deliverOne(inbox, topic, text);
}

function deliverOne(inbox: Inbox, topic: string, text: string, subscriptionIdentifiers?: readonly number[]): void {
  const payload = new TextEncoder().encode(text);
  const fields = { dup: false, qos: 0, retain: false, packetId: 0, properties: NO_PROPERTIES } as const;
  inbox.deliver(new ApplicationMessage({ type: "PUBLISH", topic, ...fields, payload }), subscriptionIdentifiers);
}

/** Notes a SUBSCRIBE for one topic filter that the broker has granted. */
function subscribe(identifiers: SubscriptionIdentifiers, topicFilter: string, subscriptionIdentifier: number): void {
  const request = { topicFilter, qos: 0, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const;
  const packet: SubscribePacket = { type: "SUBSCRIBE", packetId: 1, subscriptions: [request], properties: {} };
  identifiers.requested(packet, subscriptionIdentifier);
  identifiers.granted(topicFilter, subscriptionIdentifier);
}

/** Takes what is in the queue. */
function shiftAll({ queue }: Inbox): string[] {
  const texts: string[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) texts.push(next.text());
  return texts;
}

/** Gives the text of the next message, or `done`. */
async function next(iterator: AsyncIterator<ApplicationMessage>): Promise<string> {
  const result = await iterator.next();
  return result.done ? "done" : result.value.text();
}

/** Does the work, and gives the errors that are reported meanwhile. */
async function reportedErrors(work: () => Promise<void>): Promise<unknown[]> {
  const errors: unknown[] = [];
  const record = (event: ErrorEvent) => {
    event.preventDefault();
    errors.push(event.error);
  };
  addEventListener("error", record);
  try {
    await work();
  } finally {
    removeEventListener("error", record);
  }
  return errors;
}

/** A handler whose promises the test resolves, and the messages that it has got. */
class SlowHandler {
  readonly texts: string[] = [];
  #pending = Promise.withResolvers<void>();
  readonly handle = (message: ApplicationMessage): Promise<void> => {
    this.texts.push(message.text());
    this.#pending = Promise.withResolvers();
    return this.#pending.promise;
  };

  /** Ends the handling of the present message, and waits until the inbox knows. */
  async finish(error?: unknown): Promise<void> {
    if (error === undefined) this.#pending.resolve();
    else this.#pending.reject(error);
    for (let i = 0; i < 5; i++) await Promise.resolve();
  }
}

function newInbox(limit: number): Inbox {
  return new Inbox(limit, new SubscriptionIdentifiers());
}

Deno.test("Inbox.deliver() puts messages into the queue where there is no handler", () => {
  const inbox = newInbox(10);
  deliver(inbox, "a", "1", "2");
  assertEquals(inbox.length, 2);
  assertEquals(shiftAll(inbox), ["1", "2"]);
});

Deno.test("Inbox.deliver() hands messages to the handler, and none to the queue", () => {
  const inbox = newInbox(10);
  const texts: string[] = [];
  inbox.handler = (message) => void texts.push(message.text());
  deliver(inbox, "a", "1", "2");
  assertEquals([texts, inbox.length], [["1", "2"], 0]);
});

Deno.test("Inbox hands over one message at a time, in order, and awaits the handler's promise", async () => {
  const inbox = newInbox(10);
  const handler = new SlowHandler();
  inbox.handler = handler.handle;
  deliver(inbox, "a", "1", "2", "3");
  assertEquals([handler.texts, inbox.length], [["1"], 2]);
  await handler.finish();
  assertEquals([handler.texts, inbox.length], [["1", "2"], 1]);
  deliver(inbox, "a", "4");
  await handler.finish();
  await handler.finish();
  await handler.finish();
  assertEquals([handler.texts, inbox.length], [["1", "2", "3", "4"], 0]);
});

Deno.test("Inbox.handler gets what was queued before it was set", () => {
  const inbox = newInbox(10);
  deliver(inbox, "a", "1", "2");
  const texts: string[] = [];
  const handler = (message: ApplicationMessage) => void texts.push(message.text());
  inbox.handler = handler;
  assertStrictEquals(inbox.handler, handler);
  assertEquals([texts, inbox.length], [["1", "2"], 0]);
});

Deno.test("Inbox.handler set to null leaves the rest in the queue", async () => {
  const inbox = newInbox(10);
  const handler = new SlowHandler();
  inbox.handler = handler.handle;
  deliver(inbox, "a", "1", "2");
  inbox.handler = null;
  await handler.finish();
  deliver(inbox, "a", "3");
  assertEquals(handler.texts, ["1"]);
  assertEquals(shiftAll(inbox), ["2", "3"]);
});

Deno.test("Inbox.handler leaves nothing to those who wait for the queue, until it is set to null", async () => {
  const inbox = newInbox(10);
  const handler = new SlowHandler();
  const waiting = inbox.queue.take(undefined, undefined);
  inbox.handler = handler.handle;
  deliver(inbox, "a", "1", "2", "3", "4");
  await assertRejects(() => inbox.queue.take(0, undefined), DOMException);
  await handler.finish();
  assertEquals([handler.texts, inbox.length], [["1", "2"], 2]);
  inbox.handler = null;
  assertEquals([(await waiting).text(), ...shiftAll(inbox)], ["3", "4"]);
});

Deno.test("Inbox.handler set while another's promise is pending gets the next message after that", async () => {
  const inbox = newInbox(10);
  const slow = new SlowHandler();
  inbox.handler = slow.handle;
  deliver(inbox, "a", "1", "2");
  const texts: string[] = [];
  inbox.handler = (message) => void texts.push(message.text());
  assertEquals(texts, []);
  await slow.finish();
  assertEquals([slow.texts, texts], [["1"], ["2"]]);
});

Deno.test("Inbox.handler that a handler replaces gets the next message when that one is done, promise or not", async () => {
  for (const isSlow of [false, true]) {
    const inbox = new Inbox(10, new SubscriptionIdentifiers());
    deliver(inbox, "t", "1", "2", "3");
    const log: string[] = [];
    const rest = (message: ApplicationMessage) => void log.push(message.text());
    const first = (message: ApplicationMessage) => {
      log.push(`first ${message.text()}`);
      inbox.handler = rest;
      if (isSlow) return Promise.resolve().then(() => void log.push("first done"));
      log.push("first done");
    };
    inbox.handler = first;
    for (let round = 0; round < 10; round++) await undefined;
    assertEquals(log, ["first 1", "first done", "2", "3"]);
  }
});

Deno.test("Inbox reports what a handler throws, and goes on", async () => {
  const inbox = newInbox(10);
  const texts: string[] = [];
  inbox.handler = (message) => {
    texts.push(message.text());
    if (message.text() === "1") throw ENDED;
  };
  const errors = await reportedErrors(() => Promise.resolve(deliver(inbox, "a", "1", "2")));
  assertEquals([errors, texts], [[ENDED], ["1", "2"]]);
});

Deno.test("Inbox reports what a handler's promise rejects with, and goes on", async () => {
  const inbox = newInbox(10);
  const handler = new SlowHandler();
  inbox.handler = handler.handle;
  const errors = await reportedErrors(async () => {
    deliver(inbox, "a", "1", "2");
    await handler.finish(ENDED);
  });
  assertEquals([errors, handler.texts], [[ENDED], ["1", "2"]]);
});

Deno.test("Inbox.route() gets the messages that match, and every such route, but neither queue nor handler", async () => {
  const inbox = newInbox(10);
  const handled: string[] = [];
  inbox.handler = (message) => void handled.push(message.text());
  const wide = inbox.route("a/#"), narrow = inbox.route("a/+"), other = inbox.route("b");
  deliver(inbox, "a/b", "1");
  deliver(inbox, "a/b/c", "2");
  deliver(inbox, "b", "3");
  deliver(inbox, "c", "4");
  assertEquals([handled, inbox.length], [["4"], 4]);
  assertEquals([await next(wide), await next(wide)], ["1", "2"]);
  assertEquals([await next(narrow), await next(other)], ["1", "3"]);
  assertEquals(inbox.length, 0);
});

Deno.test("Inbox.route() gets no messages from before it, and topics seen before from then on", async () => {
  const inbox = newInbox(10);
  const first = inbox.route("a");
  deliver(inbox, "a", "1");
  const second = inbox.route("+");
  deliver(inbox, "a", "2");
  assertEquals([await next(first), await next(first), await next(second)], ["1", "2", "2"]);
});

Deno.test("Inbox.route() gets its messages over more topics than are remembered", async () => {
  const inbox = newInbox(30_000);
  const route = inbox.route("a/+");
  for (let i = 0; i < 10_500; i++) {
    deliver(inbox, `a/${i}`, `${i}`);
    deliver(inbox, `b/${i}`, "");
  }
  deliver(inbox, "a/0", "again");
  for (let i = 0; i < 10_500; i++) assertEquals(await next(route), `${i}`);
  assertEquals([await next(route), inbox.length], ["again", 10_500]);
});

Deno.test("Inbox.route() that is left leaves its messages to the queue from then on, and drops what it had", async () => {
  const inbox = newInbox(10);
  const route = inbox.route("a", 2);
  deliver(inbox, "a", "1", "2");
  assertEquals(inbox.full, true);
  await route.return?.();
  deliver(inbox, "a", "3");
  assertEquals([inbox.full, inbox.length, await next(route)], [false, 1, "done"]);
  assertEquals(shiftAll(inbox), ["3"]);
});

Deno.test("Inbox.route() that is finished gives what it had, and leaves its messages to the queue from then on", async () => {
  const inbox = newInbox(10);
  const route = inbox.route("a", 2), waiting = inbox.route("b").next();
  deliver(inbox, "a", "1", "2");
  route.finish();
  deliver(inbox, "a", "3");
  assertEquals([inbox.full, await next(route), await next(route), await next(route)], [false, "1", "2", "done"]);
  assertEquals(shiftAll(inbox), ["3"]);
  deliver(inbox, "b", "4");
  assertEquals((await waiting).done, false);
});

Deno.test("Inbox.route() throws the reason of a signal that aborts, drops what it had, and is left", async () => {
  const inbox = newInbox(10);
  const controller = new AbortController();
  const waiting = inbox.route("b", 10, controller.signal).next();
  const route = inbox.route("a", 1, controller.signal);
  deliver(inbox, "a", "1");
  controller.abort(ENDED);
  assertStrictEquals(await assertRejects(() => waiting), ENDED);
  assertEquals(inbox.full, false);
  deliver(inbox, "a", "2");
  assertStrictEquals(await assertRejects(() => route.next()), ENDED);
  assertEquals(await next(route), "done");
  assertEquals(shiftAll(inbox), ["2"]);
});

Deno.test("Inbox.route() with a signal that is aborted gets nothing", async () => {
  const inbox = newInbox(10);
  const route = inbox.route("a", 10, AbortSignal.abort(ENDED));
  deliver(inbox, "a", "1");
  assertStrictEquals(await assertRejects(() => route.next()), ENDED);
  assertEquals(shiftAll(inbox), ["1"]);
});

Deno.test("Inbox.route() gets the messages of its own subscription by their identifiers, of overlapping ones too", async () => {
  const identifiers = new SubscriptionIdentifiers();
  const inbox = new Inbox(10, identifiers);
  subscribe(identifiers, "a/#", 1);
  subscribe(identifiers, "a/b", 2);
  const all = inbox.route("a/#"), one = inbox.route("a/b"), none = inbox.route("+/+");
  for (const [text, subscriptionIdentifiers] of [["1", [1]], ["2", [2]], ["12", [1, 2]], ["9", [9]]] as const) {
    deliverOne(inbox, "a/b", text, subscriptionIdentifiers);
  }
  deliver(inbox, "a/b", "-");
  assertEquals([await next(all), await next(all), await next(all), await next(all)], ["1", "12", "9", "-"]);
  assertEquals([await next(one), await next(one), await next(one), await next(one)], ["2", "12", "9", "-"]);
  for (const text of ["1", "2", "12", "9", "-"]) assertEquals(await next(none), text);
  assertEquals(inbox.length, 0);
});

Deno.test("Inbox.deliver() leaves to the queue what is another subscription's than any route's", () => {
  const identifiers = new SubscriptionIdentifiers();
  const inbox = new Inbox(10, identifiers);
  subscribe(identifiers, "a/#", 1);
  subscribe(identifiers, "a/b", 2);
  inbox.route("a/b");
  deliverOne(inbox, "a/b", "1", [1]);
  deliverOne(inbox, "a/b", "2", [2]);
  assertEquals(shiftAll(inbox), ["1"]);
});

Deno.test("Inbox.route() gets its messages by the identifiers as they are, after a topic was seen under others", async () => {
  const identifiers = new SubscriptionIdentifiers();
  const inbox = new Inbox(10, identifiers);
  const route = inbox.route("a/b");
  const deliverAs = (text: string, identifier: number) => deliverOne(inbox, "a/b", text, [identifier]);
  deliverAs("by the topic", 1);
  subscribe(identifiers, "a/#", 1);
  subscribe(identifiers, "a/b", 2);
  deliverAs("for a/#", 1);
  deliverAs("by the identifier", 2);
  for (const filter of ["a/#", "a/b"]) identifiers.forget(filter);
  deliverAs("by the topic again", 1);
  assertEquals(shiftAll(inbox), ["for a/#"]);
  for (const text of ["by the topic", "by the identifier", "by the topic again"]) assertEquals(await next(route), text);
  subscribe(identifiers, "a/b", 2);
  identifiers.clear();
  deliverAs("by the topic at last", 1);
  assertEquals(await next(route), "by the topic at last");
});

Deno.test("Inbox.route() of a shared subscription gets what its filter matches", async () => {
  const inbox = newInbox(10);
  const route = inbox.route("$share/group/a/+");
  deliver(inbox, "a/b", "1");
  deliver(inbox, "$share/group/a/b", "2");
  assertEquals([await next(route), shiftAll(inbox)], ["1", ["2"]]);
});

Deno.test("Inbox.full says whether the queue or any route is, each by its own limit", async () => {
  const inbox = newInbox(2);
  const route = inbox.route("a", 1);
  const other = inbox.route("b");
  deliver(inbox, "b", "1");
  assertEquals(inbox.full, false);
  deliver(inbox, "a", "2");
  assertEquals(inbox.full, true);
  deliver(inbox, "b", "3");
  await next(route);
  assertEquals(inbox.full, true);
  await next(other);
  assertEquals(inbox.full, false);
  deliver(inbox, "c", "4", "5");
  assertEquals(inbox.full, true);
  inbox.queue.shift();
  assertEquals(inbox.full, false);
});

Deno.test("Inbox.room() resolves at once while there is some, else when every queue has room", async () => {
  const inbox = newInbox(1);
  await inbox.room();
  const route = inbox.route("a");
  deliver(inbox, "a", "1");
  deliver(inbox, "b", "2");
  let hasRoom = 0;
  const waiting = [inbox.room(), inbox.room()].map((room) => room.then(() => hasRoom++));
  await next(route);
  assertEquals(hasRoom, 0);
  inbox.queue.shift();
  await Promise.all(waiting);
  assertEquals(hasRoom, 2);
});

Deno.test("Inbox.room() resolves when a slow handler has taken enough", async () => {
  const inbox = newInbox(2);
  const handler = new SlowHandler();
  inbox.handler = handler.handle;
  deliver(inbox, "a", "1", "2", "3");
  assertEquals(inbox.full, true);
  const room = inbox.room();
  await handler.finish();
  await room;
  assertEquals([inbox.full, handler.texts], [false, ["1", "2"]]);
});

Deno.test("Inbox.wake() ends the waiting for room", async () => {
  const inbox = newInbox(1);
  deliver(inbox, "a", "1");
  const room = inbox.room();
  inbox.wake();
  await room;
  assertEquals(inbox.full, true);
});

Deno.test("Inbox.end() ends the routes for good and the queue until reopen(), and the waiting for room", async () => {
  const inbox = newInbox(1);
  const route = inbox.route("a");
  const waiting = inbox.route("b").next();
  deliver(inbox, "a", "1");
  const room = inbox.room();
  inbox.end(ENDED, true);
  await room;
  assertEquals([await next(route), await next(route)], ["1", "done"]);
  assertEquals(await waiting, { done: true, value: undefined });
  await assertRejects(() => inbox.queue.take(undefined, undefined), RangeError, "ended");

  inbox.reopen();
  const taking = inbox.queue.take(undefined, undefined);
  deliver(inbox, "a", "2");
  assertEquals((await taking).text(), "2");
});

Deno.test("Inbox.end() for another reason is the error of those who iterate", async () => {
  const inbox = newInbox(10);
  const route = inbox.route("a");
  inbox.end(ENDED, false);
  assertStrictEquals(await assertRejects(() => route.next()), ENDED);
});

Deno.test("Inbox.route() after end() is ended as well, until reopen()", async () => {
  const inbox = newInbox(10);
  inbox.end(ENDED, false);
  await assertRejects(() => inbox.route("b").next(), RangeError, "ended");
  const early = inbox.route("a");
  inbox.reopen();
  deliver(inbox, "a", "1");
  deliver(inbox, "b", "2"); // which nobody iterates over any more
  assertEquals([await next(early), shiftAll(inbox)], ["1", ["2"]]);
  inbox.end(ENDED, true);
  assertEquals(await next(inbox.route("a")), "done");
});
