import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { ClientError } from "../../src/errors.ts";
import type { ApplicationMessage } from "../../src/message.ts";
import type { Packet } from "../../src/packets.ts";
import type { PublishFlow } from "../../src/session/flow.ts";
import { type StoreListener, StoreWriter } from "../../src/shell/store_writer.ts";
import type { SessionStore } from "../../src/store/session_store.ts";
import { endOfTurn } from "../helpers/end_of_turn.ts";
import { acknowledgement, describe, publishPacket, Recorder } from "../session/recorder.ts";
import { NotingStore } from "../store/noting_store.ts";

/** A session whose packets go through a writer, and what the writer tells. */
class Stage extends Recorder implements StoreListener {
  readonly log: string[] = [];
  readonly writer: StoreWriter;
  /** How many more packets the connection takes before it says no. */
  connectionRoom = Infinity;
  failure: unknown;

  constructor(store: SessionStore) {
    super({}, { light: true });
    this.writer = new StoreWriter(store, this);
  }

  open(clean = false): PublishFlow[] | Promise<PublishFlow[]> {
    return this.writer.open("id", this.session, clean, undefined);
  }

  takeLog(): string[] {
    return this.log.splice(0);
  }

  override send(packet: Packet): number {
    super.send(packet);
    return this.writer.send(packet);
  }

  override publishChanged(flow: PublishFlow): void {
    this.writer.note((journal) => journal.publishChanged(flow));
  }

  release(packet: Packet): number {
    this.log.push(describe(packet));
    return --this.connectionRoom;
  }

  released(): void {
    this.log.push("more");
    this.session.writable(0);
  }

  revoke(flow: PublishFlow, error: unknown): void {
    this.session.revoke(flow, error);
  }

  fail(error: unknown): void {
    this.failure = error;
    this.log.push("failed");
  }

  acknowledge(message: ApplicationMessage): void {
    this.log.push(`acknowledged ${message.packetId}`);
  }

  sendHeld(): void {
    this.session.sendHeld(0);
  }
}

async function openStage(kind: "sync" | "async" = "sync"): Promise<{ store: NotingStore; it: Stage }> {
  const store = new NotingStore(kind);
  const it = new Stage(store);
  await it.open();
  it.connect(true);
  await endOfTurn();
  it.takeLog();
  store.take();
  return { store, it };
}

Deno.test("StoreWriter.open() restores at once where the store gives at once what it holds, and later where it does not", async () => {
  const sync = new Stage(new NotingStore());
  assertEquals([sync.open(), sync.writer.isOpen], [[], true]);
  const async = new Stage(new NotingStore("async"));
  const opening = async.open();
  assert(opening instanceof Promise && !async.writer.isOpen);
  assertEquals([await opening, async.writer.isOpen], [[], true]);
});

Deno.test("StoreWriter.open() waits until the store is let go of", async () => {
  const store = new NotingStore();
  const it = new Stage(store);
  const letGo = Promise.withResolvers<void>();
  const opening = it.writer.open("id", it.session, false, letGo.promise);
  assertEquals(store.openSessions, 0);
  letGo.resolve();
  await opening;
  assertEquals(store.openSessions, 1);
});

for (const kind of ["sync", "async"] as const) {
  for (const action of ["open", "read"] as const) {
    Deno.test(`StoreWriter.open() says that ${action}() failed, and StoreWriter.close() leaves nothing open (${kind})`, async () => {
      const store = new NotingStore(kind);
      const it = new Stage(store);
      const cause = new RangeError("broken");
      store.fail(action, cause);
      const error = await assertRejects(
        async () => await it.open(),
        ClientError,
        "Cannot open the session store: broken",
      );
      assertStrictEquals(error.cause, cause);
      await it.writer.close();
      assertEquals(store.openSessions, 0);
    });
  }

  Deno.test(`StoreWriter writes what a turn has changed once, then sends (${kind})`, async () => {
    const { store, it } = await openStage(kind);
    it.publish("a", 1);
    it.publish("b", 1);
    it.publish("c");
    assertEquals(it.takeLog(), []);
    await it.writer.flush();
    assertEquals(store.take(), ["+1 a QoS 1 published 1, +2 b QoS 1 published 2, last 2"]);
    assertEquals(it.takeLog(), ["PUBLISH(1) a QoS 1", "PUBLISH(2) b QoS 1", "PUBLISH c"]);
    await it.writer.close();
  });

  Deno.test(`StoreWriter revokes a publish that cannot be written, and sends the rest (${kind})`, async () => {
    const { store, it } = await openStage(kind);
    store.fail("write", new Error("no room"));
    const { outcome } = it.publish("a", 1);
    it.publish("b");
    await it.writer.flush();
    assertEquals([outcome.message, it.takeLog()], ["Cannot write to the session store: no room", ["PUBLISH b"]]);
    await it.writer.close();
  });

  Deno.test(`StoreWriter fails, and sends nothing, where a step cannot be written (${kind})`, async () => {
    const { store, it } = await openStage(kind);
    it.publish("a", 2);
    await endOfTurn();
    it.takeLog();
    const error = new ClientError("no room");
    store.fail("write", error);
    it.receive(acknowledgement("PUBREC", 1));
    const { outcome } = it.publish("b", 1);
    await endOfTurn();
    assertEquals([it.takeLog(), outcome.error, it.failure], [["failed"], error, error]);
    it.lose();
    it.writer.linkLost();
    store.fail("write", undefined);
    it.connect(true);
    await endOfTurn();
    assertEquals(it.takeLog(), ["CONNECT", "PUBREL(1)"]);
    assertEquals(store.publishes(), ["1 a QoS 2 released 1"]);
    await it.writer.close();
  });
}

Deno.test("StoreWriter writes once what calls publish that go on in the same turn", async () => {
  const { store, it } = await openStage();
  const { flow } = it.publish("a", 1);
  await endOfTurn();
  store.take();
  const published = new Promise((resolve) => flow.waiter = { settle: resolve, fail() {} });
  it.receive(acknowledgement("PUBACK", 1));
  await (async () => await published)();
  it.publish("b", 1);
  assertEquals(store.take(), []);
  await endOfTurn();
  assertEquals(store.take(), ["-1, +2 b QoS 1 published 2, last 2"]);
  await it.writer.close();
});

Deno.test("StoreWriter writes while a turn of the event loop does not end", async () => {
  const { store, it } = await openStage();
  let rounds = 0;
  while (store.publishes().length === 0) {
    if (rounds === 0) it.publish("a", 1);
    it.publish("b");
    await Promise.resolve();
    if (++rounds > 20_000) break;
  }
  assert(rounds < 20_000);
  await it.writer.close();
});

Deno.test("StoreWriter collects while the store takes its time, and sends in order", async () => {
  const { store, it } = await openStage("async");
  store.stall();
  it.publish("a", 1);
  const flushed = it.writer.flush();
  for (const topic of ["b", "c", "d"]) {
    it.publish(topic, 1);
    await Promise.resolve();
  }
  assertEquals(it.takeLog(), []);
  store.resume();
  await flushed;
  await it.writer.flush();
  assertEquals(store.take().length, 2);
  assertEquals(it.takeLog(), ["a", "b", "c", "d"].map((topic, i) => `PUBLISH(${i + 1}) ${topic} QoS 1`));
  await it.writer.close();
});

Deno.test("StoreWriter does not send on the next connection what could not be written on the last", async () => {
  const { store, it } = await openStage("async");
  store.stall();
  store.fail("write", new Error("no room"));
  const { outcome } = it.publish("a", 1);
  const flushed = it.writer.flush();
  it.lose();
  it.writer.linkLost();
  it.connect(true);
  store.resume();
  await flushed;
  await it.writer.flush();
  assertEquals([outcome.state, it.takeLog()], ["failed", ["CONNECT"]]);
  await it.writer.close();
});

Deno.test("StoreWriter does not try again and again to remove what it cannot", async () => {
  const { store, it } = await openStage("async");
  it.publish("a", 1);
  await endOfTurn();
  let writes = 0;
  store.onWrite = () => writes++;
  store.fail("write", new Error("no room"));
  it.receive(acknowledgement("PUBACK", 1));
  await endOfTurn();
  assertEquals([writes, it.failure], [1, undefined]);
  store.fail("write", undefined);
  await it.writer.close();
  assertEquals(store.publishes(), []);
});

Deno.test("StoreWriter.send() says no when much is held, and when it is sent that there is room", async () => {
  const { it } = await openStage();
  const count = 40, size = 64 * 1024;
  for (let i = 0; i < count; i++) it.publish("t", 1, new Uint8Array(size));
  assertEquals(it.session.queuedPublishes, count - 16);
  await endOfTurn();
  assertEquals(it.takeLog().filter((text) => text === "more").length, 2);
  await it.writer.close();
  assertEquals(it.session.queuedPublishes, 0);
});

Deno.test("StoreWriter.send() says no as long as the connection does", async () => {
  const { it } = await openStage();
  it.connectionRoom = 1;
  it.publish("a");
  await it.writer.flush();
  assertEquals(it.takeLog(), ["PUBLISH a"]);
  it.publish("b", 1);
  it.publish("c", 1);
  await it.writer.flush();
  assertEquals(it.takeLog(), ["PUBLISH(1) b QoS 1"]);
  it.connectionRoom = Infinity;
  it.writer.writable();
  it.session.writable(0);
  await it.writer.flush();
  assertEquals(it.takeLog(), ["PUBLISH(2) c QoS 1"]);
  await it.writer.close();
});

Deno.test("StoreWriter.close() while it is opening closes what is opened then, and restores nothing", async () => {
  const store = new NotingStore("async");
  store.stall();
  const it = new Stage(store);
  const opening = it.open();
  const closed = it.writer.close();
  store.resume();
  await closed;
  await assertRejects(async () => await opening, ClientError, "closed meanwhile");
  assertEquals([store.openSessions, it.writer.isOpen], [0, false]);
});

Deno.test("StoreWriter stores what was published before the session was restored, and forgets what a new session does", async () => {
  const store = new NotingStore("async");
  const former = new Stage(store);
  await former.open();
  former.publish("a", 1);
  await former.writer.flush();
  former.writer.note((journal) => journal.received(7));
  await former.writer.close();
  store.take();
  const it = new Stage(store);
  const opening = it.open();
  it.publish("b", 1);
  it.writer.forget();
  assertEquals((await opening).length, 1);
  await it.writer.close();
  assertEquals(store.take(), ["forgotten received, forgotten subscriptions, +2 b QoS 1 queued"]);
  assertEquals(store.stored().received, []);
});

// Its part in transactions.

Deno.test("StoreWriter.committed() sends what was published, and acknowledges", async () => {
  const { it } = await openStage();
  const flow = it.session.publish(publishPacket("t", 1), undefined, true)!;
  it.writer.published(flow);
  it.receive(publishPacket("r", 2, "", { packetId: 7 }));
  it.writer.acknowledged(it.delivered[0]);
  assertEquals(it.writer.changes()?.added.length, 1);
  it.writer.committed();
  assertEquals(it.takeLog(), ["acknowledged 7"]);
  await it.writer.flush();
  assertEquals(it.takeLog(), ["PUBREC(7)", "PUBLISH(1) t QoS 1"]);
  await it.writer.close();
});

Deno.test("StoreWriter.rolledBack() revokes what was published in the transaction alone", async () => {
  const { store, it } = await openStage();
  const before = it.publish("before", 1);
  const flow = it.session.publish(publishPacket("t", 1), undefined, true)!;
  let reason: unknown;
  flow.waiter = { settle() {}, fail: (error) => reason = error };
  it.writer.published(flow);
  it.writer.changes();
  const error = new Error("no");
  it.writer.rolledBack(error);
  assertEquals([reason, before.outcome.state], [error, "pending"]);
  await it.writer.flush();
  assertEquals(it.takeLog(), ["PUBLISH(1) before QoS 1"]);
  assertEquals(store.publishes().map((text) => text.slice(2)), ["before QoS 1 published 1"]);
  await it.writer.close();
});

Deno.test("StoreWriter.flush() leaves everything to a transaction that is under way", async () => {
  const inner = new NotingStore();
  let inTransaction = true;
  const store: SessionStore = {
    get inTransaction() {
      return inTransaction;
    },
    open: (clientId) => inner.open(clientId),
  };
  const it = new Stage(store);
  await it.open();
  it.connect(true);
  const flushed = it.writer.flush();
  assertEquals(it.takeLog(), []);
  inTransaction = false;
  await flushed;
  assertEquals(it.takeLog(), ["CONNECT"]);
  await it.writer.close();
});

Deno.test("StoreWriter hands on a ClientError of the store's as it is", () => {
  const store = new NotingStore();
  const error = new ClientError("Cannot open the session store: it is damaged");
  store.fail("open", error);
  assertStrictEquals(assertThrows(() => new Stage(store).open()), error);
});
