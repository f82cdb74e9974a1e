import { assertEquals, assertRejects } from "@std/assert";
import { Buffer } from "node:buffer";
import { ClientError } from "../../src/errors.ts";
import type { Properties } from "../../src/properties.ts";
import type { OpenedSession, SessionChanges, SessionStore } from "../../src/store/session_store.ts";
import type { StoredSession } from "../../src/stored_session.ts";
import { changes, publish, subscription } from "./changes.ts";

/** A store under test; disposing of it closes it. */
export interface TestedStore extends AsyncDisposable {
  readonly store: SessionStore;
  /** Gives a store of what was written, as the next process has it. */
  reopen(): Promise<SessionStore>;
}

const EMPTY: StoredSession = { publishes: [], received: [], subscriptions: [], lastPacketId: 0 };

/** Every property, though none is on one packet with all the others. */
const PROPERTIES: Properties = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 4_294_967_295,
  contentType: "text/plain; charset=ütf-8",
  responseTopic: "answers/\u{1f600}",
  correlationData: Uint8Array.of(0, 1, 127, 128, 255),
  subscriptionIdentifier: 268_435_455,
  subscriptionIdentifiers: [1, 268_435_455],
  sessionExpiryInterval: 0,
  assignedClientIdentifier: "",
  serverKeepAlive: 65_535,
  authenticationMethod: "SCRAM",
  authenticationData: new Uint8Array(0),
  requestProblemInformation: 0,
  willDelayInterval: 1,
  requestResponseInformation: 1,
  responseInformation: "base64",
  serverReference: '"quoted" \\ \n',
  reasonString: "{}",
  receiveMaximum: 1,
  topicAliasMaximum: 0,
  topicAlias: 65_535,
  maximumQos: 1,
  retainAvailable: 0,
  userProperties: [["b", "2"], ["a", "1"], ["b", ""], ["", "__proto__"], ["base64", "AAAA"]],
  maximumPacketSize: 4_294_967_295,
  wildcardSubscriptionAvailable: 1,
  subscriptionIdentifiersAvailable: 0,
  sharedSubscriptionAvailable: 1,
};

/** Registers the tests that every store must pass. */
export function sessionStoreContract(name: string, make: () => Promise<TestedStore>): void {
  const test = (sentence: string, fn: (tested: TestedStore) => Promise<void>) =>
    Deno.test(`${name} ${sentence}`, async () => {
      await using tested = await make();
      await fn(tested);
    });

  /** Writes batch after batch, and compares what is stored then with what is expected: at once, opened again, and in the next process. */
  const testWrites = (sentence: string, batches: Partial<SessionChanges>[], expected: Partial<StoredSession>) =>
    test(sentence, async ({ store, reopen }) => {
      await using session = await open(store, "client");
      for (const batch of batches) await session.opened.write(changes(batch));
      assertEquals(await readSorted(session.opened), { ...EMPTY, ...expected });
      await session.opened.close();
      assertEquals(await readAll(store, "client"), { ...EMPTY, ...expected });
      assertEquals(await readAll(await reopen(), "client"), { ...EMPTY, ...expected });
    });

  testWrites("gives an empty session for a client that is new", [], {});

  testWrites("keeps publishes in the order of their ids, beyond one digit and one batch", [
    { added: [1, 2, 9, 10].map((id) => publish(id)) },
    { added: [11, 99, 100, 70_000, 2 ** 40].map((id) => publish(id)) },
  ], { publishes: [1, 2, 9, 10, 11, 99, 100, 70_000, 2 ** 40].map((id) => publish(id)) });

  const every = [
    publish(1, { qos: 0, packetId: 0, state: "queued", sequence: 0, retain: true, topic: "ä/\u{1f600}" }),
    publish(2, { qos: 2, state: "released", sequence: 2 ** 40, packetId: 65_535, payload: new Uint8Array(0) }),
    publish(3, { expiresAt: 1_900_000_000_123, payload: Uint8Array.of(0, 0xff, 0xc3, 0x28) }),
    publish(4, { payload: new Uint8Array(100).fill(7).subarray(10, 20) }),
  ];
  testWrites("keeps every field of a publish", [{ added: every }], { publishes: every });

  const withProperties = [publish(1, { properties: PROPERTIES })];
  testWrites("keeps every property, bytes and pairs too", [{ added: withProperties }], { publishes: withProperties });

  testWrites("changes a publish's progress and nothing else", [
    { added: [publish(1), publish(2, { qos: 2, payload: new Uint8Array(5000).fill(2) }), publish(3)] },
    { updated: [{ id: 2, packetId: 7, state: "released", sequence: 9 }] },
    { updated: [{ id: 3, packetId: 0, state: "queued", sequence: 0 }] },
  ], {
    publishes: [
      publish(1),
      publish(2, { qos: 2, payload: new Uint8Array(5000).fill(2), packetId: 7, state: "released", sequence: 9 }),
      publish(3, { packetId: 0, state: "queued", sequence: 0 }),
    ],
  });

  testWrites("removes publishes one by one, in rows, and in any order", [
    { added: [1, 2, 3, 4, 5, 6, 7, 8, 9].map((id) => publish(id)) },
    { removed: [2] },
    { removed: [9, 4, 5, 6, 1] },
    { removed: [2, 12] },
  ], { publishes: [3, 7, 8].map((id) => publish(id)) });

  testWrites("keeps received identifiers until they are completed", [
    { received: [1, 65_535, 300] },
    { completed: [1], received: [2] },
    { received: [1, 2] },
    { completed: [65_535, 17] },
  ], { received: [1, 2, 300] });

  testWrites("keeps subscriptions by their groups, with every field", [
    { subscribed: [subscription("b/#", 2), subscription("a/+", 2)] },
    { subscribed: [subscription("$share/ü/c", 1, { properties: PROPERTIES })] },
    {
      subscribed: [{
        request: { topicFilter: "", qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
        properties: { subscriptionIdentifier: 1 },
        group: 3,
      }],
    },
  ], {
    subscriptions: [
      subscription("$share/ü/c", 1, { properties: PROPERTIES }),
      subscription("b/#", 2),
      subscription("a/+", 2),
      {
        request: { topicFilter: "", qos: 2, noLocal: true, retainAsPublished: true, retainHandling: 2 },
        properties: { subscriptionIdentifier: 1 },
        group: 3,
      },
    ],
  });

  testWrites("replaces a subscription by a later one for the same filter, which comes last in its group", [
    { subscribed: [subscription("a", 1), subscription("b", 1), subscription("c", 2)] },
    { subscribed: [subscription("a", 2, { properties: { subscriptionIdentifier: 5 } })] },
  ], {
    subscriptions: [
      subscription("b", 1),
      subscription("c", 2),
      subscription("a", 2, { properties: { subscriptionIdentifier: 5 } }),
    ],
  });

  testWrites("removes subscriptions by their filters", [
    { subscribed: ["a", "b", "c"].map((filter) => subscription(filter, 1)) },
    { unsubscribed: ["b", "d"] },
  ], { subscriptions: [subscription("a", 1), subscription("c", 1)] });

  testWrites("keeps the last packet identifier", [{ lastPacketId: 65_535 }, { lastPacketId: 3 }, { received: [1] }], {
    lastPacketId: 3,
    received: [1],
  });

  const all = {
    added: [publish(1), publish(2)],
    received: [1, 2],
    subscribed: [subscription("a", 1), subscription("b", 2)],
    lastPacketId: 2,
  };
  testWrites("forgets the parts that it is told to", [all, { forgotten: ["received", "subscriptions"] }], {
    publishes: all.added,
    lastPacketId: 2,
  });
  testWrites("forgets before it adds", [all, {
    forgotten: ["publishes", "received", "subscriptions"],
    added: [publish(2, { topic: "new" })],
    received: [2],
    subscribed: [subscription("b", 1)],
    lastPacketId: 0,
  }], { publishes: [publish(2, { topic: "new" })], received: [2], subscriptions: [subscription("b", 1)] });

  testWrites("removes before it adds", [all, {
    removed: [2],
    added: [publish(2, { topic: "new" })],
    completed: [2],
    received: [2],
    unsubscribed: ["b"],
    subscribed: [subscription("b", 1)],
  }], {
    publishes: [publish(1), publish(2, { topic: "new" })],
    received: [1, 2],
    subscriptions: [subscription("a", 1), subscription("b", 1)],
    lastPacketId: 2,
  });

  const large = publish(1, { payload: Uint8Array.from({ length: 3 * 1024 * 1024 + 1 }, (_, i) => i % 251) });
  testWrites("keeps a payload of 3 MiB, through changes of its progress", [
    { added: [large, publish(2)] },
    { updated: [{ id: 1, packetId: 5, state: "released", sequence: 5 }] },
  ], { publishes: [{ ...large, packetId: 5, state: "released", sequence: 5 }, publish(2)] });
  testWrites("removes a payload of 3 MiB", [{ added: [large, publish(2)] }, { removed: [1] }], {
    publishes: [publish(2)],
  });

  const many = Array.from({ length: 10_000 }, (_, i) => publish(i + 1));
  testWrites("takes 10,000 publishes at once", [{ added: many }], { publishes: many });
  testWrites("removes 10,000 publishes at once", [{ added: many }, { removed: many.map(({ id }) => id) }], {});

  test("keeps clients apart, whatever they are called", async ({ store, reopen }) => {
    const names = [
      "",
      " ",
      "a",
      "A",
      "a ",
      "a/b",
      "ä",
      "a\u0308",
      "\u{1f600}",
      "'; DROP TABLE x; --",
      "%",
      "__proto__",
    ];
    const expected = (i: number) => ({ ...EMPTY, publishes: [publish(1, { topic: `t${i}` })], lastPacketId: i });
    for (const [i, clientId] of names.entries()) {
      await using session = await open(store, clientId);
      await session.opened.write(changes({ added: [publish(1, { topic: `t${i}` })], received: [9], lastPacketId: i }));
      await session.opened.write(changes({ forgotten: ["received", "subscriptions"] }));
    }
    const next = await reopen();
    for (const [i, clientId] of names.entries()) assertEquals(await readAll(next, clientId), expected(i), clientId);
  });

  test("has several sessions open at once", async ({ store }) => {
    await using a = await open(store, "a"), b = await open(store, "b");
    await a.opened.write(changes({ added: [publish(1)], received: [1], subscribed: [subscription("a", 1)] }));
    await b.opened.write(changes({ added: [publish(2)], received: [2], subscribed: [subscription("a", 2)] }));
    await a.opened.write(changes({ forgotten: ["publishes", "received", "subscriptions"] }));
    assertEquals(await a.opened.read(), EMPTY);
    assertEquals(await b.opened.read(), {
      publishes: [publish(2)],
      received: [2],
      subscriptions: [subscription("a", 2)],
      lastPacketId: 0,
    });
  });

  test("does not open a session twice at once, but again when it is closed", async ({ store }) => {
    await using first = await open(store, "client");
    await assertRejects(async () => await store.open("client"), ClientError, 'The session of client "client" is open');
    await first.opened.close();
    await using _second = await open(store, "client");
    await first.opened.close(); // does nothing
    await assertRejects(async () => await store.open("client"), ClientError, "is open already");
  });

  test("keeps what was written when the application uses its buffers again", async ({ store, reopen }) => {
    await using session = await open(store, "client");
    const payload = Buffer.from("payload"), correlationData = Buffer.from("data").subarray(1);
    const userProperties: [string, string][] = [["a", "b"]];
    const added = [publish(1, { payload, properties: { correlationData, userProperties } })];
    const subscribed = [subscription("a", 1, { properties: { userProperties } })];
    await session.opened.write(changes({ added, subscribed }));
    payload.fill(0);
    correlationData.fill(0);
    userProperties[0][1] = "c";
    await session.opened.write(changes({ updated: [{ id: 1, packetId: 7, state: "released", sequence: 9 }] }));
    await session.opened.close();
    for (const stored of [await readAll(store, "client"), await readAll(await reopen(), "client")]) {
      const [{ payload, properties }] = stored.publishes;
      const bytes = [payload, properties.correlationData].map((bytes) => new TextDecoder().decode(bytes));
      assertEquals([...bytes, properties.userProperties], ["payload", "ata", [["a", "b"]]]);
      assertEquals(stored.subscriptions[0].properties, { userProperties: [["a", "b"]] });
    }
  });

  test("gives what later changes leave as it was", async ({ store }) => {
    await using session = await open(store, "client");
    await session.opened.write(changes({ added: [publish(1)] }));
    const before = await session.opened.read();
    await session.opened.write(changes({ updated: [{ id: 1, packetId: 9, state: "released", sequence: 9 }] }));
    assertEquals(before.publishes, [publish(1)]);
  });
}

interface Open extends AsyncDisposable {
  readonly opened: OpenedSession;
}

async function open(store: SessionStore, clientId: string): Promise<Open> {
  const opened = await store.open(clientId);
  return { opened, [Symbol.asyncDispose]: async () => await opened.close() };
}

async function readAll(store: SessionStore, clientId: string): Promise<StoredSession> {
  await using session = await open(store, clientId);
  return await readSorted(session.opened);
}

async function readSorted(session: OpenedSession): Promise<StoredSession> {
  const stored = await session.read();
  return { ...stored, received: stored.received.toSorted((a, b) => a - b) };
}
