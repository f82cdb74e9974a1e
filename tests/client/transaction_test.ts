import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { type ClientConfig, ClientError, MQTTClient, QOS_0, QOS_1, QOS_2, SqliteSessionStore } from "../../mod.ts";
import { brokerTest } from "../helpers/brokers.ts";
import {
  CONNACK,
  CONNACK_SESSION_PRESENT,
  DISCONNECT,
  event,
  PINGREQ,
  PINGRESP,
  playBroker,
  type PlayedBroker,
  type PlayedConnection,
  QUICK,
} from "./played_broker.ts";

const KEPT: ClientConfig = { ...QUICK, cleansession: false, manual_ack: true };

class Refusal extends Error {}

interface Stage {
  readonly store: SqliteSessionStore;
  readonly broker: PlayedBroker;
  readonly client: MQTTClient;
  readonly connection: PlayedConnection;
  insert(item: string): void;
  /** Gives the items of the application's table. */
  items(): unknown[];
  /** Gives the topics of the publishes that are stored. */
  topics(): unknown[];
  /** Gives the identifiers of the received messages that are stored. */
  received(): unknown[];
  /** Checks that these packets are the next, and nothing else before them. */
  expectNext(connection: PlayedConnection, ...packets: string[]): Promise<void>;
  /** Cuts the connection, and waits until the client knows. */
  cut(): Promise<void>;
  /** Takes the connection that the client makes then, and waits until it knows. */
  restore(connack?: string): Promise<PlayedConnection>;
}

/** Registers a test with a client whose store is a database in memory with a table of the application's. */
function test(sentence: string, fn: (stage: Stage) => Promise<void>, config: ClientConfig = KEPT): void {
  Deno.test(`MQTTClient in a transaction ${sentence}`, async () => {
    await using broker = await playBroker();
    using store = new SqliteSessionStore(":memory:");
    const { database } = store;
    database.exec("CREATE TABLE items (item TEXT UNIQUE)");
    const column = (sql: string) => database.prepare(sql).all().map((row) => Object.values(row)[0]);
    const client = new MQTTClient({ clientId: "id", config, store });
    const [connection] = await Promise.all([broker.welcome(CONNACK_SESSION_PRESENT), client.connect(broker.uri)]);
    try {
      await fn({
        store,
        broker,
        client,
        connection,
        insert: (item) => void database.prepare("INSERT INTO items VALUES (?)").run(item),
        items: () => column("SELECT item FROM items ORDER BY rowid"),
        topics: () => column("SELECT topic FROM hbmqtt_publishes ORDER BY client, id"),
        received: () => column("SELECT packet_id FROM hbmqtt_received ORDER BY packet_id"),
        async expectNext(connection, ...packets) {
          const pinged = client.ping();
          await connection.expect(...packets, PINGREQ);
          await connection.send(PINGRESP);
          await pinged;
        },
        cut: async () => void await Promise.all([event(client, "disconnect"), connection.peer.close()]),
        restore: async (connack = CONNACK_SESSION_PRESENT) =>
          (await Promise.all([broker.welcome(connack), event(client, "connect")]))[0],
      });
    } finally {
      await Promise.all([client.disconnect({ drain: 0 }), broker[Symbol.asyncDispose]()]);
    }
  });
}

// Publishes.

test("publishes when it is committed, in order and of every QoS", async (it) => {
  const { store, client, connection } = it;
  const before = client.publish("a", "", { qos: QOS_1 });
  const published = store.transaction(() => {
    it.insert("1");
    const published = ([0, 1, 2] as const).map((qos) => client.publish("t", "", { qos }));
    assertEquals(client.stats.messagesSent, 0);
    return published;
  });
  assertEquals([it.items(), it.topics()], [["1"], ["a", "t", "t", "t"]]);
  await connection.expect("32 05 0001 'a' 0001", "30 03 0001 't'", "32 05 0001 't' 0002", "34 05 0001 't' 0003");
  await connection.send("40 02 0001", "40 02 0002", "50 02 0003", "70 02 0003");
  await Promise.all([before, ...published]);
});

for (
  const [how, spoil] of [
    ["the work throws", () => {
      throw new Refusal("no");
    }],
    ["a statement fails", (it: Stage) => it.insert("1")],
    [
      "COMMIT fails",
      ({ store }: Stage) => store.database.exec("PRAGMA defer_foreign_keys = ON; INSERT INTO child VALUES (7)"),
    ],
  ] as [string, (it: Stage) => void][]
) {
  test(`publishes and acknowledges nothing when ${how}`, async (it) => {
    const { store, client, connection } = it;
    store.database.exec(
      "PRAGMA foreign_keys = ON; CREATE TABLE parent (id INTEGER PRIMARY KEY); " +
        "CREATE TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    );
    await connection.send("32 05 0001 't' 0007", "34 05 0001 't' 0008");
    const first = await client.deliverMessage(), second = await client.deliverMessage();
    const published: Promise<unknown>[] = [];
    const error = assertThrows(() =>
      store.transaction(() => {
        it.insert("1");
        for (const qos of [QOS_0, QOS_1, QOS_2]) published.push(client.publish("t", "", { qos }));
        first.ack();
        second.ack();
        spoil(it);
      })
    );
    for (const publish of published) assertEquals(await publish.catch((error) => error), error);
    await it.expectNext(connection);
    assertEquals([it.items(), it.topics(), it.received(), client.stats.queuedPublishes], [[], [], [], 0]);
    store.transaction(() => [second, first].forEach((message) => message.ack()));
    await it.expectNext(connection, "50 02 0008", "40 02 0007");
    const next = client.publish("t", "", { qos: QOS_1 });
    await connection.expect("32 05 0001 't' 0001");
    await connection.send("40 02 0001");
    await next;
  });
}

test("publishes while the link is down, and sends it on the next", async (it) => {
  await it.cut();
  const published = it.store.transaction(() => {
    it.insert("1");
    return [it.client.publish("t", "", { qos: QOS_1 })];
  });
  assertEquals(it.topics(), ["t"]);
  const dropped: Promise<unknown>[] = [];
  assertThrows(() =>
    it.store.transaction(() => {
      dropped.push(it.client.publish("u", "", { qos: QOS_1 }));
      throw new Refusal("no");
    }), Refusal);
  await assertRejects(() => dropped[0], Refusal);
  const connection = await it.restore();
  await connection.expect("32 05 0001 't' 0001");
  await connection.send("40 02 0001");
  await Promise.all(published);
  assertEquals([it.items(), it.client.stats.queuedPublishes], [["1"], 0]);
});

test("stores nothing where a publish is refused: it throws", async (it) => {
  const { store, client } = it;
  await it.cut();
  const published = store.transaction(() => [client.publish("t", "", { qos: QOS_1 })]);
  const refused = (topic: string) =>
    store.transaction(() => {
      it.insert(topic);
      return [client.publish(topic, "", { qos: QOS_1 })];
    });
  assertThrows(() => refused("u"), ClientError, "the offline queue is full");
  assertThrows(() => refused("#"), TypeError, "wildcards");
  assertEquals([it.items(), it.topics()], [[], ["t"]]);
  await client.disconnect();
  await assertRejects(() => published[0], ClientError);
  assertThrows(() => refused("u"), ClientError, "connect() again");
  assertEquals(it.items(), []);
}, { ...KEPT, max_queued_publishes: 1 });

test("drops nothing from a full queue, which could not be undone: it throws", async (it) => {
  const { store, client } = it;
  await it.cut();
  const old = client.publish("old", "", { qos: QOS_1 });
  assertThrows(
    () =>
      store.transaction(() => {
        it.insert("1");
        return [client.publish("new", "", { qos: QOS_1 })];
      }),
    ClientError,
    "the offline queue is full",
  );
  assertEquals([it.items(), it.topics(), client.stats.queuedPublishes], [[], ["old"], 1]);
  const dropping = client.publish("new", "", { qos: QOS_1 });
  await assertRejects(() => old, ClientError, "Dropped");
  await client.disconnect();
  await assertRejects(() => dropping, ClientError, "store keeps");
}, { ...KEPT, max_queued_publishes: 1, queue_full: "drop_oldest" });

Deno.test("MQTTClient.publish() throws in a transaction before connect()", async () => {
  using store = new SqliteSessionStore(":memory:");
  await using client = new MQTTClient({ store });
  store.database.exec("CREATE TABLE items (item TEXT)");
  assertThrows(
    () =>
      store.transaction(() => {
        store.database.exec("INSERT INTO items VALUES ('1')");
        return [client.publish("t", "")];
      }),
    ClientError,
    "call connect() first",
  );
  assertEquals(store.database.prepare("SELECT * FROM items").all(), []);
});

test("takes part in the turn in which it begins to connect", async (it) => {
  await Promise.all([it.client.disconnect(), it.connection.expectEnd(DISCONNECT)]);
  const connecting = it.client.connect(it.broker.uri);
  const [published] = it.store.transaction(() => [it.client.publish("t", "", { qos: QOS_1 })]);
  assertEquals(it.topics(), ["t"]);
  const connection = await it.broker.welcome(CONNACK_SESSION_PRESENT);
  await connecting;
  await connection.expect("32 05 0001 't' 0001");
  await connection.send("40 02 0001");
  await published;
});

test("does not connect", async (it) => {
  const other = new MQTTClient({ clientId: "other", store: it.store });
  const [connecting] = it.store.transaction(() => [other.connect(it.broker.uri)]);
  await assertRejects(() => connecting, ClientError, "within a transaction");
});

test("disconnects after it and what it publishes, which is kept", async (it) => {
  const { store, client, connection } = it;
  const [published, disconnected] = store.transaction(() => [
    client.publish("t", "", { qos: QOS_1 }),
    client.disconnect({ drain: 0 }),
  ]);
  await Promise.all([disconnected, connection.expectEnd("32 05 0001 't' 0001", DISCONNECT)]);
  await assertRejects(() => published, ClientError, "store keeps");
  assertEquals(it.topics(), ["t"]);
});

test("publishes together with another client", async (it) => {
  const { store, client, broker, connection } = it;
  const other = new MQTTClient({ clientId: "other", config: KEPT, store });
  const [otherConnection] = await Promise.all([broker.welcome(CONNACK), other.connect(broker.uri)]);
  const rejected: Promise<unknown>[] = [];
  assertThrows(() =>
    store.transaction(() => {
      rejected.push(client.publish("a", "", { qos: QOS_1 }), other.publish("b", "", { qos: QOS_1 }));
      throw new Refusal("no");
    }), Refusal);
  for (const publish of rejected) await assertRejects(() => publish, Refusal);
  assertEquals(it.topics(), []);
  const published = store.transaction(() => [
    client.publish("a", "", { qos: QOS_1 }),
    other.publish("b", "", { qos: QOS_1 }),
  ]);
  assertEquals(it.topics(), ["a", "b"]);
  await connection.expect("32 05 0001 'a' 0001");
  await otherConnection.expect("32 05 0001 'b' 0001");
  await connection.send("40 02 0001");
  await otherConnection.send("40 02 0001");
  await Promise.all(published);
  await Promise.all([other.disconnect(), otherConnection.expectEnd(DISCONNECT)]);
});

test("stores by itself first what was published before in the same turn, and rejects that alone where it cannot", async (it) => {
  const { store, client, connection } = it;
  store.database.exec("PRAGMA max_page_count = 1"); // as many as there are
  const before = client.publish("t", new Uint8Array(1_000_000), { qos: QOS_1 });
  assertThrows(() => store.transaction(() => it.insert("1")), ClientError, "full");
  await assertRejects(() => before, ClientError, "full");
  assertEquals([it.items(), it.topics()], [[], []]);
  await it.expectNext(connection);
  store.transaction(() => it.insert("2"));
  assertEquals(it.items(), ["2"]);
});

// Acknowledgements.

test("acknowledges when it is committed, and each behind those before it", async (it) => {
  const { store, client, connection } = it;
  await connection.send("34 05 0001 'a' 0001", "34 05 0001 'b' 0002", "32 05 0001 'c' 0003");
  const [a, b, c] = [await client.deliverMessage(), await client.deliverMessage(), await client.deliverMessage()];
  store.transaction(() => {
    it.insert("b");
    b.ack();
    b.ack();
    c.ack();
    assertEquals(client.stats.packetsSent, 1);
  });
  assertEquals(it.received(), [2]);
  await it.expectNext(connection, "40 02 0003");
  a.ack();
  await it.expectNext(connection, "50 02 0001", "50 02 0002");
  assertEquals(it.received(), [1, 2]);
  await connection.send("62 02 0001", "62 02 0002");
  await connection.expect("70 02 0001", "70 02 0002");
  assertEquals(it.received(), []);
});

test("does not take back the acknowledgement of an earlier one when it acknowledges the same again and fails", async (it) => {
  const { store, client, connection } = it;
  await connection.send("34 05 0001 'a' 0001", "34 05 0001 'b' 0002");
  const a = await client.deliverMessage(), b = await client.deliverMessage();
  store.transaction(() => b.ack());
  assertThrows(() =>
    store.transaction(() => {
      b.ack();
      throw new Refusal("no");
    }), Refusal);
  await it.expectNext(connection);
  assertEquals(it.received(), [2]);
  a.ack();
  await it.expectNext(connection, "50 02 0001", "50 02 0002");
});

test("acknowledges what is not delivered again when the link breaks before PUBREC is sent", async (it) => {
  const { store, client, connection } = it;
  await connection.send("34 05 0001 'a' 0001", "34 05 0001 'b' 0002");
  const a = await client.deliverMessage(), b = await client.deliverMessage();
  store.transaction(() => b.ack());
  await it.cut();
  const next = await it.restore();
  await next.send("3c 05 0001 'a' 0001", "3c 05 0001 'b' 0002");
  assertEquals((await client.deliverMessage()).topic, "a");
  await it.expectNext(next);
  assertEquals(client.stats.queuedMessages, 0);
  a.ack(); // of the connection that is gone
  await it.expectNext(next);
});

test("acknowledges a QoS 2 message whose connection is gone, which is not delivered again", async (it) => {
  const { store, client, connection } = it;
  await connection.send("34 05 0001 'a' 0001", "34 05 0001 'b' 0002");
  const a = await client.deliverMessage(), b = await client.deliverMessage();
  await it.cut();
  assertThrows(() =>
    store.transaction(() => {
      b.ack();
      throw new Refusal("no");
    }), Refusal);
  store.transaction(() => {
    it.insert("a");
    a.ack();
  });
  assertEquals(it.received(), [1]);
  const next = await it.restore();
  await next.send("3c 05 0001 'a' 0001", "3c 05 0001 'b' 0002");
  await next.expect("50 02 0001");
  const again = await client.deliverMessage();
  assertEquals([again.topic, client.stats.queuedMessages], ["b", 0]);
  store.transaction(() => again.ack());
  await it.expectNext(next, "50 02 0002");
});

test("does not do twice what has come again: acknowledging it throws", async (it) => {
  const { store, client, connection } = it;
  await connection.send("34 05 0001 'a' 0001");
  const a = await client.deliverMessage();
  await it.cut();
  const next = await it.restore();
  await next.send("3c 05 0001 'a' 0001");
  const again = await client.deliverMessage();
  const record = (message: typeof a) =>
    store.transaction(() => {
      it.insert("a");
      message.ack();
    });
  assertInstanceOf(assertThrows(() => record(a)), ClientError);
  record(again);
  assertEquals(it.items(), ["a"]);
  await it.expectNext(next, "50 02 0001");
});

test("acknowledges nothing of a session that is lost", async (it) => {
  const { store, client, connection } = it;
  await connection.send("34 05 0001 'a' 0001");
  const a = await client.deliverMessage();
  await it.cut();
  const next = await it.restore(CONNACK);
  store.transaction(() => a.ack());
  assertEquals(it.received(), []);
  await next.send("34 05 0001 'b' 0001");
  assertEquals((await client.deliverMessage()).topic, "b");
});

test("acknowledges nothing when the client has ended: it throws", async (it) => {
  const { store, client, connection } = it;
  await connection.send("34 05 0001 'a' 0001");
  const message = await client.deliverMessage();
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  assertThrows(
    () =>
      store.transaction(() => {
        it.insert("a");
        message.ack();
      }),
    ClientError,
    "not open",
  );
  assertEquals([it.items(), it.received()], [[], []]);
});

// The database fails.

test("goes on when the disk was full", async (it) => {
  const { store, client, connection } = it;
  const { page_count: pages } = store.database.prepare("PRAGMA page_count").get() ?? {};
  store.database.exec(`PRAGMA max_page_count = ${pages}`);
  await assertRejects(() => client.publish("t", new Uint8Array(1_000_000), { qos: QOS_1 }), ClientError, "full");
  store.database.exec("PRAGMA max_page_count = 1000000");
  const published = client.publish("t", "", { qos: QOS_1 });
  await connection.expect("32 05 0001 't' 0002");
  await connection.send("40 02 0002");
  await published;
});

test("can store nothing after the application has closed the store, until it connects again", async (it) => {
  const { store, client, connection } = it;
  store.close();
  await assertRejects(() => client.publish("t", "", { qos: QOS_1 }), ClientError, "closed");
  await client.publish("t", "");
  await connection.expect("30 03 0001 't'");
  const lost = event(client, "disconnect");
  await connection.send("34 05 0001 't' 0001");
  const message = await client.deliverMessage();
  message.ack();
  const { error } = await lost;
  assert(error instanceof ClientError && error.message.includes("closed"), String(error));
  await client.disconnect();
  const [next] = await Promise.all([it.broker.welcome(CONNACK_SESSION_PRESENT), client.connect(it.broker.uri)]);
  const published = client.publish("t", "", { qos: QOS_1 });
  await next.expect("32 05 0001 't' 0001");
  await next.send("40 02 0001");
  await published;
});

// A real broker.

brokerTest("MQTTClient publishes and acknowledges in transactions (mosquitto)", {}, async ({ uris }) => {
  const folder = await Deno.makeTempDir();
  const config: ClientConfig = { ...KEPT, manual_ack: true };
  {
    using store = new SqliteSessionStore(`${folder}/session.db`, { synchronous: "normal" });
    store.database.exec("CREATE TABLE sent (item INTEGER); CREATE TABLE taken (item INTEGER)");
    await using client = new MQTTClient({ clientId: "id", config, store });
    await client.connect(uris.mqtt);
    await client.subscribe("t", QOS_2);
    const count = 200;
    const published = Array.from({ length: count }, (_, i) =>
      store.transaction(() => {
        store.database.prepare("INSERT INTO sent VALUES (?)").run(i);
        return [client.publish("t", String(i), { qos: QOS_2 })];
      })[0]);
    for (let i = 0; i < count; i++) {
      const message = await client.deliverMessage(10);
      store.transaction(() => {
        store.database.prepare("INSERT INTO taken VALUES (?)").run(Number(message.text()));
        message.ack();
      });
    }
    await Promise.all(published);
    const items = (table: string) => store.database.prepare(`SELECT item FROM ${table} ORDER BY rowid`).all();
    assertEquals(items("taken"), items("sent"));
    assertEquals(items("taken").length, count);
  }
  await Deno.remove(folder, { recursive: true });
});
