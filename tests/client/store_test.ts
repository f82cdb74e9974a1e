import { assert, assertEquals, assertInstanceOf, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type ApplicationMessage,
  type ClientConfig,
  ClientError,
  ConnectError,
  MemorySessionStore,
  MQTTClient,
  type MQTTClientOptions,
  QOS_1,
  QOS_2,
  type SessionStore,
} from "../../mod.ts";
import { bytes } from "../codec/bytes.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { endOfTurn } from "../helpers/end_of_turn.ts";
import { createPipe } from "../helpers/pipe.ts";
import { describe } from "../session/recorder.ts";
import { NotingStore } from "../store/noting_store.ts";
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
  withProperties,
} from "./played_broker.ts";

const KEPT: ClientConfig = { ...QUICK, cleansession: false };

/** A client with a store, and the connection that it has. */
class Kept {
  readonly client: MQTTClient;
  readonly connection: PlayedConnection;

  constructor(client: MQTTClient, connection: PlayedConnection) {
    this.client = client;
    this.connection = connection;
  }

  /** Disconnects, and checks that nothing more is sent but these packets and DISCONNECT. */
  async end(...packets: string[]): Promise<void> {
    await Promise.all([this.client.disconnect({ drain: 0 }), this.connection.expectEnd(...packets, DISCONNECT)]);
  }

  /** Leaves the client as it would be if its process had died: cut off, and nothing more written. */
  async lose(): Promise<void> {
    await Promise.all([event(this.client, "disconnect"), this.connection.peer.close()]);
  }
}

function makeClient(store: SessionStore, config: ClientConfig = KEPT, options: MQTTClientOptions = {}): MQTTClient {
  const client = new MQTTClient({ clientId: "id", config, store, ...options });
  if (store instanceof NotingStore) {
    client.addEventListener("packet", ({ detail: { direction, packet } }) => {
      if (packet.type !== "CONNECT" && packet.type !== "CONNACK") {
        store.note(`${direction === "out" ? "->" : "<-"} ${describe(packet)}`);
      }
    });
  }
  return client;
}

async function connect(
  broker: PlayedBroker,
  store: SessionStore,
  { connack = CONNACK_SESSION_PRESENT, config, client = makeClient(store, config) }: {
    connack?: string;
    config?: ClientConfig;
    client?: MQTTClient;
  } = {},
): Promise<Kept> {
  const [connection] = await Promise.all([broker.welcome(connack), client.connect(broker.uri)]);
  return new Kept(client, connection);
}

/** Registers a test for a store that answers at once, and one for a store that takes its time. */
function test(sentence: string, fn: (store: NotingStore, broker: PlayedBroker) => Promise<void>): void {
  for (const kind of ["sync", "async"] as const) {
    Deno.test(`MQTTClient with a store ${sentence} (${kind})`, async () => {
      await using broker = await playBroker();
      const store = new NotingStore(kind);
      await fn(store, broker);
      assertEquals(store.openSessions, 0);
    });
  }
}

// What is written when.

test("stores a QoS 1 publish before it is sent, and lets it go when it is acknowledged", async (store, broker) => {
  const it = await connect(broker, store);
  store.take();
  const published = it.client.publish("t", "x", { qos: QOS_1 });
  await it.connection.expect("32 06 0001 't' 0001 'x'");
  await it.connection.send("40 02 0001");
  await published;
  await it.end();
  assertEquals(store.take(), [
    "+1 t QoS 1 published 1, last 1",
    "-> PUBLISH(1) t QoS 1",
    "<- PUBACK(1)",
    "-1",
    "-> DISCONNECT",
  ]);
});

test("stores each step of a QoS 2 publish before its packet is sent", async (store, broker) => {
  const it = await connect(broker, store);
  store.take();
  const published = it.client.publish("t", "x", { qos: QOS_2 });
  await it.connection.expect("34 06 0001 't' 0001 'x'");
  await it.connection.send("50 02 0001");
  await it.connection.expect("62 02 0001");
  await it.connection.send("70 02 0001");
  await published;
  await it.end();
  assertEquals(store.take(), [
    "+1 t QoS 2 published 1, last 1",
    "-> PUBLISH(1) t QoS 2",
    "<- PUBREC(1)",
    "1 released 1",
    "-> PUBREL(1)",
    "<- PUBCOMP(1)",
    "-1",
    "-> DISCONNECT",
  ]);
});

test("stores nothing of QoS 0 while the link is up", async (store, broker) => {
  const it = await connect(broker, store);
  store.take();
  await it.client.publish("t", "x");
  await it.end("30 04 0001 't' 'x'");
  assertEquals(store.take(), ["-> PUBLISH t", "-> DISCONNECT"]);
});

test("stores what one turn of the event loop publishes in one write", async (store, broker) => {
  const it = await connect(broker, store);
  store.take();
  const published = [it.client.publish("a", "", { qos: QOS_1 }), it.client.publish("b", "", { qos: QOS_2 })];
  await it.connection.expect("32 05 0001 'a' 0001", "34 05 0001 'b' 0002");
  assertEquals(store.take(), [
    "+1 a QoS 1 published 1, +2 b QoS 2 published 2, last 2",
    "-> PUBLISH(1) a QoS 1",
    "-> PUBLISH(2) b QoS 2",
  ]);
  await it.end();
  for (const publish of published) {
    assertStringIncludes((await assertRejects(() => publish, ClientError)).message, "store keeps");
  }
});

test("stores what is published while the link is down, and lets QoS 0 go when it is sent", async (store, broker) => {
  const it = await connect(broker, store);
  await it.lose();
  store.take();
  const published = ([0, 1, 2] as const).map((qos) => it.client.publish("t", "", { qos }));
  const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
  await connection.expect("30 03 0001 't'", "32 05 0001 't' 0001", "34 05 0001 't' 0002");
  assertEquals(store.take().slice(0, 5), [
    "+1 t QoS 0 queued, +2 t QoS 1 queued, +3 t QoS 2 queued",
    "-1, 2 published 1, 3 published 2, last 2",
    "-> PUBLISH t",
    "-> PUBLISH(1) t QoS 1",
    "-> PUBLISH(2) t QoS 2",
  ]);
  await published[0];
  await new Kept(it.client, connection).end();
});

test("writes nothing for a publish that is cancelled in the turn in which it was made", async (store, broker) => {
  const it = await connect(broker, store);
  await it.lose();
  store.take();
  const controller = new AbortController();
  const published = it.client.publish("t", "", { qos: QOS_1, signal: controller.signal });
  controller.abort();
  await assertRejects(() => published, DOMException);
  await it.client.disconnect();
  assertEquals(store.take(), []);
});

test("removes a queued publish that is cancelled later, also while it is being written", async (store, broker) => {
  const it = await connect(broker, store);
  await it.lose();
  store.take();
  store.stall();
  const controller = new AbortController();
  const begun = Promise.withResolvers<void>();
  store.onWrite = begun.resolve;
  const published = it.client.publish("t", "", { qos: QOS_1, signal: controller.signal });
  await begun.promise;
  controller.abort();
  await assertRejects(() => published, DOMException);
  store.resume();
  await it.client.disconnect();
  assertEquals(store.take(), ["+1 t QoS 1 queued", "-1"]);
});

test("removes the oldest publish that a full queue drops, and those that expire", async (store, broker) => {
  const config = { ...KEPT, protocol_version: 5, max_queued_publishes: 1, queue_full: "drop_oldest" } as const;
  const it = await connect(broker, store, { config, connack: "20 03 01 00 00" });
  await it.lose();
  store.take();
  const dropped = it.client.publish("a", "", { qos: QOS_1 });
  const written = Promise.withResolvers<void>();
  store.onWrite = written.resolve;
  await written.promise;
  const expired = it.client.publish("b", "", { qos: QOS_1, properties: { messageExpiryInterval: 1 } });
  await assertRejects(() => dropped, ClientError, "Dropped");
  await assertRejects(() => expired, ClientError, "expired");
  await it.client.disconnect();
  assertEquals(store.take(), ["+1 a QoS 1 queued", "-1, +2 b QoS 1 queued", "-2"]);
});

test("removes a publish that the broker rejects, and one that is given up", async (store, broker) => {
  const config: ClientConfig = { ...KEPT, protocol_version: 5, max_publish_attempts: 1 };
  const it = await connect(broker, store, { config, connack: "20 03 01 00 00" });
  store.take();
  const rejected = it.client.publish("a", "", { qos: QOS_1 });
  await it.connection.expect("32 06 0001 'a' 0001 00");
  await it.connection.send("40 03 0001 97");
  await assertRejects(() => rejected, Error, "rejected");
  await it.lose();
  const { client } = it;
  const [next] = await Promise.all([broker.welcome("20 03 01 00 00"), event(client, "connect")]);
  const givenUp = client.publish("b", "", { qos: QOS_1 });
  await next.expect("32 06 0001 'b' 0002 00");
  await next.peer.close();
  await assertRejects(() => givenUp, ClientError, "Gave up");
  await client.disconnect();
  assertEquals(store.take().filter((text) => !/[<>]/.test(text)), [
    "+1 a QoS 1 published 1, last 1",
    "-1",
    "+2 b QoS 1 published 2, last 2",
    "-2",
  ]);
});

test("writes nothing for what it sends again", async (store, broker) => {
  const it = await connect(broker, store);
  const published = [it.client.publish("a", "", { qos: QOS_1 }), it.client.publish("b", "", { qos: QOS_2 })];
  await it.connection.expect("32 05 0001 'a' 0001", "34 05 0001 'b' 0002");
  await it.connection.send("50 02 0002");
  await it.connection.expect("62 02 0002");
  await it.lose();
  store.take();
  const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
  await connection.expect("62 02 0002", "3a 05 0001 'a' 0001");
  assertEquals(store.take(), ["-> PUBREL(2)", "-> PUBLISH(1) a QoS 1 dup"]);
  await connection.send("70 02 0002", "40 02 0001");
  await Promise.all(published);
  await new Kept(it.client, connection).end();
});

test("stores new packet identifiers before it sends as new what a lost session held", async (store, broker) => {
  const it = await connect(broker, store);
  const published = [1, 2].map((n) => it.client.publish(`${n}`, "", { qos: QOS_2 }));
  await it.connection.expect("34 05 0001 '1' 0001", "34 05 0001 '2' 0002");
  await it.connection.send("50 02 0002", "50 02 0001");
  await it.connection.expect("62 02 0002", "62 02 0001");
  await it.lose();
  store.take();
  const connection = await broker.welcome(CONNACK);
  await connection.expect("34 05 0001 '1' 0001", "34 05 0001 '2' 0002");
  assertEquals(store.take(), [
    "forgotten received, 1 published 1, 2 published 2",
    "-> PUBLISH(1) 1 QoS 2",
    "-> PUBLISH(2) 2 QoS 2",
  ]);
  assertEquals(published.length, 2);
  await new Kept(it.client, connection).end();
});

test("stores a QoS 2 message before PUBREC is sent, and forgets it on PUBREL", async (store, broker) => {
  const it = await connect(broker, store);
  store.take();
  await it.connection.send("34 06 0001 't' 0007 'x'");
  await it.connection.expect("50 02 0007");
  await it.connection.send("3c 06 0001 't' 0007 'x'");
  await it.connection.expect("50 02 0007");
  await it.connection.send("62 02 0007");
  await it.connection.expect("70 02 0007");
  assertEquals((await it.client.deliverMessage(1)).text(), "x");
  await it.end();
  assertEquals(store.take(), [
    "<- PUBLISH(7) t QoS 2",
    "received 7",
    "-> PUBREC(7)",
    "<- PUBLISH(7) t QoS 2 dup",
    "-> PUBREC(7)",
    "<- PUBREL(7)",
    "completed 7",
    "-> PUBCOMP(7)",
    "-> DISCONNECT",
  ]);
});

test("stores subscriptions by the packets that asked for them, and their end", async (store, broker) => {
  const it = await connect(broker, store);
  store.take();
  const subscribed = [it.client.subscribe([["a", 1], ["b", 1], ["no", 1]]), it.client.subscribe("c", 1)];
  await it.connection.expect("82 0f 0001 0001 'a' 01 0001 'b' 01 0002 'no' 01", "82 06 0002 0001 'c' 01");
  await it.connection.send("90 05 0001 01 01 80", "90 03 0002 01");
  await Promise.all(subscribed);
  const unsubscribed = it.client.unsubscribe("b");
  await it.connection.expect("a2 05 0003 0001 'b'");
  await it.connection.send("b0 02 0003");
  await unsubscribed;
  await it.end();
  const { subscriptions, lastPacketId } = store.stored();
  assertEquals(subscriptions.map(({ request, group }) => [request.topicFilter, group]), [["a", 1], ["c", 2]]);
  assertEquals(lastPacketId, 3);
});

test("asks for restored subscriptions again when the session is lost, as they were grouped", async (store, broker) => {
  const first = await connect(broker, store);
  const subscribed = [first.client.subscribe([["a", 1], ["b", 1]]), first.client.subscribe("c", 1)];
  await first.connection.expect("82 0a 0001 0001 'a' 01 0001 'b' 01", "82 06 0002 0001 'c' 01");
  await first.connection.send("90 04 0001 01 01", "90 03 0002 01");
  await Promise.all(subscribed);
  await first.end();
  const second = await connect(broker, store, { connack: CONNACK });
  await second.connection.expect("82 0a 0001 0001 'a' 01 0001 'b' 01", "82 06 0002 0001 'c' 01");
  const pinged = second.client.ping();
  await second.connection.expect(PINGREQ);
  await second.connection.send("90 04 0001 01 01", "90 03 0002 01", PINGRESP);
  await pinged;
  await second.end();
  const groups = store.stored().subscriptions.map(({ request, group }) => [request.topicFilter, group]);
  assertEquals(groups, [["a", 3], ["b", 3], ["c", 4]]);
});

test("begins anew with a clean session, but for the publishes", async (store, broker) => {
  const first = await connect(broker, store);
  const subscribed = first.client.subscribe("a", 1);
  await first.connection.expect("82 06 0001 0001 'a' 01");
  await first.connection.send("90 03 0001 01", "34 05 0001 't' 0007");
  await subscribed;
  const published = first.client.publish("t", "", { qos: QOS_1 });
  await first.connection.expect("50 02 0007", "32 05 0001 't' 0002");
  await first.end();
  await assertRejects(() => published, ClientError);
  assertEquals(store.stored().received, [7]);

  const client = makeClient(store, { ...KEPT, cleansession: true });
  const second = await connect(broker, store, { client, connack: CONNACK });
  await second.connection.expect("32 05 0001 't' 0001");
  assertEquals([store.stored().received, store.stored().subscriptions], [[], []]);
  assertEquals(store.publishes(), ["1 t QoS 1 published 1"]);
  await second.connection.send("34 05 0001 't' 0007");
  await second.connection.expect("50 02 0007");
  assertEquals((await client.deliverMessage(1)).packetId, 7);
  await second.end();
});

// Restart.

test(
  "completes in order what a former client has left: PUBREL, PUBLISH again, what was queued, what is new",
  async (store, broker) => {
    const first = await connect(broker, store, { config: { ...KEPT, max_inflight: 3 } });
    const published = ["a", "b", "c", "d"].map((topic) => first.client.publish(topic, "", { qos: QOS_2 }));
    for (const publish of published) publish.catch(() => {});
    await first.connection.expect("34 05 0001 'a' 0001", "34 05 0001 'b' 0002", "34 05 0001 'c' 0003");
    await first.connection.send("50 02 0003", "50 02 0002");
    await first.connection.expect("62 02 0003", "62 02 0002");
    await first.end();
    assertEquals(store.publishes(), [
      "1 a QoS 2 published 1",
      "2 b QoS 2 released 2",
      "3 c QoS 2 released 3",
      "4 d QoS 2 queued",
    ]);

    const client = makeClient(store);
    const connecting = client.connect(broker.uri);
    const late = client.publish("e", "", { qos: QOS_1 }), drained = client.drained();
    const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
    await connection.expect("62 02 0003", "62 02 0002", "3c 05 0001 'a' 0001", "34 05 0001 'd' 0004");
    await connection.expect("32 05 0001 'e' 0005");
    await connecting;
    assertEquals(client.pending.map(({ topic, qos }) => `${topic} ${qos}`), ["a 2", "b 2", "c 2", "d 2"]);
    await connection.send("70 02 0003", "70 02 0002", "50 02 0001", "50 02 0004", "40 02 0005");
    await connection.expect("62 02 0001", "62 02 0004");
    await late;
    assertEquals(client.pending.map(({ topic }) => topic), ["a", "d"]);
    await connection.send("70 02 0001", "70 02 0004");
    await drained;
    assertEquals(client.pending, []);
    await client.drained();
    await new Kept(client, connection).end();
    assertEquals(store.publishes(), []);
  },
);

test(
  "sends restored publishes as new, in the order of their publishing, when the session is lost",
  async (store, broker) => {
    const first = await connect(broker, store);
    for (const topic of ["a", "b"]) first.client.publish(topic, "", { qos: QOS_2 }).catch(() => {});
    await first.connection.expect("34 05 0001 'a' 0001", "34 05 0001 'b' 0002");
    await first.connection.send("50 02 0002");
    await first.connection.expect("62 02 0002");
    await first.end();
    const second = await connect(broker, store, { connack: CONNACK });
    await second.connection.expect("34 05 0001 'a' 0001", "34 05 0001 'b' 0002");
    await second.end();
    assertEquals(store.publishes(), ["1 a QoS 2 published 1", "2 b QoS 2 published 2"]);
  },
);

test("keeps the order of sending over a lost session and a restart", async (store, broker) => {
  const first = await connect(broker, store);
  for (const topic of ["a", "b"]) first.client.publish(topic, "", { qos: QOS_2 }).catch(() => {});
  await first.connection.expect("34 05 0001 'a' 0001", "34 05 0001 'b' 0002");
  await first.connection.send("50 02 0001");
  await first.connection.expect("62 02 0001");
  await first.lose();
  const connection = await broker.welcome(CONNACK);
  await connection.expect("34 05 0001 'a' 0001", "34 05 0001 'b' 0002");
  await new Kept(first.client, connection).end();
  const second = await connect(broker, store);
  await second.connection.expect("3c 05 0001 'a' 0001", "3c 05 0001 'b' 0002");
  await second.end();
});

test("goes on after the last packet identifier", async (store, broker) => {
  const first = await connect(broker, store);
  const published = first.client.publish("t", "", { qos: QOS_1 });
  await first.connection.expect("32 05 0001 't' 0001");
  await first.connection.send("40 02 0001");
  await published;
  await first.end();
  const second = await connect(broker, store);
  const next = second.client.publish("t", "", { qos: QOS_1 });
  await second.connection.expect("32 05 0001 't' 0002");
  await second.connection.send("40 02 0002");
  await next;
  await second.end();
});

test("does not deliver again what a former client has acknowledged", async (store, broker) => {
  const first = await connect(broker, store);
  await first.connection.send("34 06 0001 't' 0007 'x'");
  await first.connection.expect("50 02 0007");
  await first.end();
  const second = await connect(broker, store);
  await second.connection.send("3c 06 0001 't' 0007 'x'");
  await second.connection.expect("50 02 0007");
  await second.connection.send("62 02 0007", "34 06 0001 't' 0007 'y'");
  await second.connection.expect("70 02 0007", "50 02 0007");
  assertEquals((await second.client.deliverMessage(1)).text(), "y");
  await second.end();
});

test("delivers again what a former client has received and not acknowledged", async (store, broker) => {
  const config = { ...KEPT, manual_ack: true };
  const first = await connect(broker, store, { config });
  await first.connection.send("34 06 0001 't' 0007 'x'");
  await first.client.deliverMessage(1);
  await first.end();
  const second = await connect(broker, store, { config });
  await second.connection.send("3c 06 0001 't' 0007 'x'");
  const message = await second.client.deliverMessage(1);
  message.ack();
  await second.connection.expect("50 02 0007");
  await second.end();
});

test("drops what has expired meanwhile, and sends what is left of the interval", async (store, broker) => {
  const config: ClientConfig = { ...KEPT, protocol_version: 5, auto_reconnect: true };
  const connack = "20 03 01 00 00";
  const first = await connect(broker, store, { config, connack });
  await first.lose();
  const short = first.client.publish("a", "", { qos: QOS_1, properties: { messageExpiryInterval: 0 } });
  first.client.publish("b", "", { qos: QOS_1, properties: { messageExpiryInterval: 100 } }).catch(() => {});
  await assertRejects(() => short, ClientError, "expired");
  await first.client.disconnect();
  const [{ expiresAt = 0 }] = store.stored().publishes;
  assert(Math.abs(expiresAt - Date.now() - 100_000) < 5000, `${expiresAt}`);
  const second = await connect(broker, store, { config, connack });
  const packet = await second.connection.peer.readPacket();
  const interval = packet[packet.length - 1];
  assert(interval > 90 && interval <= 100, `${packet}`);
  await second.end();
});

test("stores when a publish in flight expires, which it does if the session is lost", async (store, broker) => {
  const config: ClientConfig = { ...KEPT, protocol_version: 5 };
  const first = await connect(broker, store, { config, connack: "20 03 01 00 00" });
  first.client.publish("a", "", { qos: QOS_1, properties: { messageExpiryInterval: 0 } }).catch(() => {});
  await first.connection.peer.readPacket();
  await first.end();
  assertEquals(store.publishes(), ["1 a QoS 1 published 1"]);
  const second = await connect(broker, store, { config, connack: "20 03 00 00 00" });
  await second.client.drained();
  await second.end();
  assertEquals(store.publishes(), []);
});

test("restores by the same client what its disconnect() has left", async (store, broker) => {
  const first = await connect(broker, store);
  const published = first.client.publish("t", "", { qos: QOS_1 });
  await first.connection.expect("32 05 0001 't' 0001");
  await first.end();
  const error = await assertRejects(() => published, ClientError);
  assertStringIncludes(error.message, "the session store keeps");
  const again = await connect(broker, store, { client: first.client });
  await again.connection.expect("3a 05 0001 't' 0001");
  assertEquals(again.client.pending.length, 1);
  await again.connection.send("40 02 0001");
  await again.client.drained();
  await again.end();
});

test("keeps the session by the identifier that was given, whatever the broker assigns", async (store, broker) => {
  const connack = withProperties("20", "00 00", "12 0001 'A'"), config = { ...KEPT, protocol_version: 5 } as const;
  const client = makeClient(store, config, { clientId: "" });
  for (let life = 0; life < 2; life++) {
    const it = await connect(broker, store, { client, connack });
    assertEquals([client.clientId, client.pending.length], ["A", life]);
    if (life === 0) client.publish("t", "", { qos: QOS_1 }).catch(() => {});
    await it.connection.expect("32 06 0001 't' 0001 00");
    await it.end();
    assertEquals([store.stored("").publishes.length, store.stored("A").publishes.length], [1, 0]);
  }
});

test("rejects drained() when the client ends first", async (store, broker) => {
  const first = await connect(broker, store);
  first.client.publish("t", "", { qos: QOS_1 }).catch(() => {});
  await first.connection.expect("32 05 0001 't' 0001");
  await first.end();
  const second = await connect(broker, store);
  await second.connection.expect("3a 05 0001 't' 0001");
  const drained = second.client.drained();
  await second.end();
  await assertRejects(() => drained, ClientError, "disconnect");
});

test("goes on by reconnect() with what it has, and opens the store once", async (store, broker) => {
  const it = await connect(broker, store);
  const published = it.client.publish("t", "", { qos: QOS_1 });
  await it.connection.expect("32 05 0001 't' 0001");
  const [connection] = await Promise.all([
    broker.welcome(CONNACK_SESSION_PRESENT),
    it.client.reconnect(),
    it.connection.expectEnd(DISCONNECT),
  ]);
  assertEquals(it.client.pending, []);
  await connection.expect("3a 05 0001 't' 0001");
  await connection.send("40 02 0001");
  await published;
  await new Kept(it.client, connection).end();
});

test("keeps what is unsettled when it gives up, and lets go of the store", async (store, broker) => {
  const it = await connect(broker, store, { config: { ...KEPT, auto_reconnect: false } });
  const published = it.client.publish("t", "", { qos: QOS_1 });
  await it.connection.expect("32 05 0001 't' 0001");
  await it.lose();
  await assertRejects(() => published, ClientError);
  const again = await connect(broker, store, { client: it.client });
  await again.connection.expect("3a 05 0001 't' 0001");
  await again.end();
});

for (
  const [end, fails] of [["gives up", false], ["gives up", true], ["disconnects", false]] as const
) {
  const how = `when it ${end} while a write ${fails ? "fails" : "is under way"}`;
  Deno.test(`MQTTClient keeps in a store in order what is unsettled ${how}`, async () => {
    await using broker = await playBroker();
    const store = new NotingStore("async");
    const it = await connect(broker, store, { config: { ...KEPT, auto_reconnect: false } });
    const settled = it.client.publish("0", "", { qos: QOS_1 });
    await it.connection.expect("32 05 0001 '0' 0001");
    const begun = Promise.withResolvers<void>();
    store.onWrite = begun.resolve;
    store.stall();
    if (fails) store.fail("write", new Error("no room"));
    const published = [it.client.publish("1", "", { qos: QOS_1 })];
    await begun.promise;
    for (const topic of ["2", "3"]) {
      published.push(it.client.publish(topic, "", { qos: QOS_2 }));
      await endOfTurn();
    }
    await it.connection.send("40 02 0001");
    await settled;
    const ended = end === "gives up" ? it.lose() : it.client.disconnect({ drain: 0 });
    for (const publish of published) await assertRejects(() => publish, ClientError);
    store.onWrite = () => store.fail("write", undefined);
    store.resume();
    await ended;
    await Promise.all([it.client.disconnect(), it.connection.peer.close()]);
    assertEquals(store.openSessions, 0);
    assertEquals(store.stored().publishes.map(({ topic }) => topic), ["1", "2", "3"]);
  });
}

test(
  "stores what is published before the first connection is up, and gives up, behind what is restored",
  async (store, broker) => {
    const first = await connect(broker, store);
    await first.lose();
    first.client.publish("a", "", { qos: QOS_1 }).catch(() => {});
    await first.client.disconnect();
    const client = makeClient(store);
    const connecting = client.connect(broker.uri);
    client.publish("b", "", { qos: QOS_1 }).catch(() => {});
    await (await broker.accept()).peer.close();
    await (await broker.accept()).peer.close();
    await client.disconnect();
    await assertRejects(() => connecting, ClientError);
    assertEquals(store.publishes(), ["1 a QoS 1 queued", "2 b QoS 1 queued"]);
    const second = await connect(broker, store);
    await second.connection.expect("32 05 0001 'a' 0001", "32 05 0001 'b' 0002");
    await second.end();
  },
);

// The store is opened and closed.

Deno.test("MQTTClient.pending tells before connect() what the store gives at once, and changes nothing in it", async () => {
  await using broker = await playBroker();
  const store = new NotingStore();
  const first = await connect(broker, store);
  first.client.publish("t", "x", { qos: QOS_1 }).catch(() => {});
  await first.connection.expect("32 06 0001 't' 0001 'x'");
  await first.connection.send("34 05 0001 't' 0007");
  await first.connection.expect("50 02 0007");
  await first.end();

  const client = makeClient(store, QUICK);
  assertEquals(client.pending, [{ topic: "t", payload: new TextEncoder().encode("x"), qos: QOS_1 }]);
  assertEquals(client.pending.length, 1);
  const drained = client.drained();
  await client.disconnect();
  await assertRejects(() => drained, ClientError);
  assertEquals([store.openSessions, store.stored().received], [0, [7]]);
  assertEquals(client.pending.length, 1);
  const [connection] = await Promise.all([
    broker.welcome(CONNACK_SESSION_PRESENT),
    client.connect(broker.uri, { cleanSession: false }),
  ]);
  await connection.expect("3a 06 0001 't' 0001 'x'");
  await connection.send("3c 05 0001 't' 0007", "40 02 0001");
  await connection.expect("50 02 0007");
  await client.drained();
  await new Kept(client, connection).end();
  assertEquals([store.publishes(), store.openSessions], [[], 0]);
});

Deno.test("MQTTClient.pending and connect() open a slow store once", async () => {
  await using broker = await playBroker();
  const store = new NotingStore("async");
  const first = await connect(broker, store);
  first.client.publish("t", "", { qos: QOS_1 }).catch(() => {});
  await first.connection.expect("32 05 0001 't' 0001");
  await first.end();
  store.stall();
  const client = makeClient(store, QUICK);
  assertEquals([client.pending, client.pending], [[], []]);
  const drained = client.drained();
  const connecting = client.connect(broker.uri);
  client.publish("u", "", { qos: QOS_1 }).catch(() => {});
  store.resume();
  const connection = await broker.welcome();
  await connection.expect("32 05 0001 't' 0001", "32 05 0001 'u' 0002");
  await connecting;
  assertEquals(client.pending.length, 1);
  await connection.send("40 02 0001");
  await drained;
  await new Kept(client, connection).end();
  assertEquals([store.openSessions, store.publishes()], [0, ["2 u QoS 1 published 2"]]);
});

Deno.test("MQTTClient.connect() is aborted at once while the store is being opened, which is closed when it is", async () => {
  await using broker = await playBroker();
  const store = new NotingStore("async");
  store.stall();
  const client = makeClient(store);
  const controller = new AbortController();
  const connecting = client.connect(broker.uri, { signal: controller.signal });
  controller.abort(new RangeError("enough"));
  await assertRejects(() => connecting, RangeError, "enough");
  const again = client.connect(broker.uri);
  store.resume();
  const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
  await again;
  await new Kept(client, connection).end();
  assertEquals([store.openSessions, broker.peer.connectionCount], [0, 1]);
});

Deno.test("MQTTClient.disconnect() while the store is being opened waits until it is closed", async () => {
  await using broker = await playBroker();
  const store = new NotingStore("async");
  store.stall();
  const client = makeClient(store);
  const connecting = client.connect(broker.uri), disconnected = client.disconnect();
  await assertRejects(() => connecting, ClientError);
  store.resume();
  await disconnected;
  assertEquals([store.openSessions, broker.peer.connectionCount], [0, 0]);
});

for (const when of ["before", "after"] as const) {
  Deno.test(`MQTTClient.drained() rejects when the client ends though the store hangs, called ${when} connect()`, async () => {
    await using broker = await playBroker();
    const store = new NotingStore("async");
    store.stall();
    const client = makeClient(store);
    const begun = when === "before" ? client.drained() : undefined;
    const connecting = client.connect(broker.uri);
    const drained = begun ?? client.drained();
    const disconnected = client.disconnect({ drain: 0 });
    await Promise.all(
      [connecting, drained].map((promise) => assertRejects(() => promise, ClientError, "disconnect()")),
    );
    await disconnected;
    assertEquals(broker.peer.connectionCount, 0);
    store.resume();
    await client.disconnect();
    assertEquals(store.openSessions, 0);
  });
}

Deno.test("MQTTClient.drained() rejects with what the store fails with, and resolves when it has nothing", async () => {
  const store = new NotingStore("async");
  store.fail("read", new RangeError("the store is damaged"));
  await using client = makeClient(store);
  await assertRejects(() => client.drained(), ClientError, "damaged");
  store.fail("read", undefined);
  await client.drained();
});

Deno.test("MQTTClient.connect() waits for a store that hangs no longer than connect_timeout", async () => {
  const store = new NotingStore("async");
  store.stall();
  const client = makeClient(store, { ...KEPT, connect_timeout: 0.02 });
  for (let attempt = 0; attempt < 2; attempt++) {
    const error = await assertRejects(
      () => client.connect("mqtt://broker.invalid"),
      ConnectError,
      "the session store was not open within 0.02 s",
    );
    assert(error.cause instanceof DOMException && error.cause.name === "TimeoutError");
  }
  store.resume();
  await client.disconnect();
  assertEquals(store.openSessions, 0);
});

for (const action of ["write", "close"] as const) {
  Deno.test(`MQTTClient.disconnect() does not wait for ever where ${action}() of the store hangs; connect() does, until it is done`, async () => {
    await using broker = await playBroker();
    const store = new NotingStore("async");
    const it = await connect(broker, store, { config: { ...KEPT, resubscribe: false } });
    store.stall();
    const published = action === "write" ? it.client.publish("t", "", { qos: QOS_1 }) : undefined;
    await Promise.all([
      it.client.disconnect({ drain: 0 }),
      it.connection.peer.readToEnd().then(() => it.connection.peer.close()),
    ]);
    if (published !== undefined) await assertRejects(() => published, ClientError, "does not answer");
    assertEquals([it.client.connected, store.openSessions], [false, 1]);
    const again = it.client.connect(broker.uri);
    store.resume();
    const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
    await again;
    if (published !== undefined) await connection.expect("3a 05 0001 't' 0001");
    await new Kept(it.client, connection).end();
    assertEquals(store.openSessions, 0);
  });
}

Deno.test("MQTTClient.reconnect() while the store is being opened goes on with it", async () => {
  await using broker = await playBroker();
  const store = new NotingStore("async");
  store.stall();
  const client = makeClient(store);
  const connecting = client.connect(broker.uri), reconnecting = client.reconnect();
  store.resume();
  const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
  assertEquals(await Promise.all([connecting, reconnecting]), [0, 0]);
  await new Kept(client, connection).end();
  assertEquals([store.openSessions, broker.peer.connectionCount], [0, 1]);
});

test(
  "is refused by connect() where another client has the session, and not by that of another identifier",
  async (store, broker) => {
    const first = await connect(broker, store);
    const same = makeClient(store);
    await assertRejects(() => same.connect(broker.uri), ClientError, "open already");
    assertEquals([broker.peer.connectionCount, store.openSessions], [1, 1]);
    const client = makeClient(store, KEPT, { clientId: "other" });
    const second = await connect(broker, store, { client, connack: CONNACK });
    await Promise.all([first.end(), second.end()]);
    const third = await connect(broker, store, { client: same });
    await third.end();
  },
);

for (const action of ["open", "read"] as const) {
  test(`whose ${action}() fails makes no connection, and works when that is mended`, async (store, broker) => {
    const cause = new RangeError("the store is damaged");
    store.fail(action, cause);
    const client = makeClient(store);
    const error = await assertRejects(() => client.connect(broker.uri), ClientError, "the store is damaged");
    assertEquals(error.cause, cause);
    await client.disconnect();
    assertEquals([broker.peer.connectionCount, store.openSessions, client.connected], [0, 0, false]);
    store.fail(action, undefined);
    const it = await connect(broker, store, { client });
    await it.end();
  });
}

Deno.test("MQTTClient.pending throws what the store throws, and leaves it closed", async () => {
  const store = new NotingStore();
  const client = makeClient(store);
  store.fail("read", new RangeError("the store is damaged"));
  const error = await assertRejects(async () => await client.pending, ClientError, "damaged");
  assertInstanceOf(error.cause, RangeError);
  await client.disconnect();
  assertEquals(store.openSessions, 0);
});

// Failures.

test(
  "tells the broker a topic again whose alias was to go with a publish that cannot be stored",
  async (store, broker) => {
    const connack = withProperties("20", "01 00", "22 0005");
    const it = await connect(broker, store, { config: { ...KEPT, protocol_version: 5 }, connack });
    store.fail("write", new Error("no room"));
    const refused = it.client.publish("topic", "a", { qos: QOS_1 });
    const behind = it.client.publish("topic", "b");
    await assertRejects(() => refused, ClientError, "no room");
    await it.connection.expect("30 0c 0005 'topic' 03 23 0001 'b'");
    store.fail("write", undefined);
    await it.client.publish("topic", "c");
    await it.client.publish("topic", "d");
    await it.connection.expect("30 0c 0005 'topic' 03 23 0001 'c'", "30 07 0000 03 23 0001 'd'");
    await behind;
    await it.end();
  },
);

test("rejects a publish that cannot be stored, never sends it, and goes on", async (store, broker) => {
  const it = await connect(broker, store, { config: { ...KEPT, max_inflight: 1 } });
  store.fail("write", new Error("no room"));
  const published = ([1, 2] as const).map((qos) => it.client.publish("a", "", { qos }));
  for (const publish of published) {
    await assertRejects(() => publish, ClientError, "Cannot write to the session store: no room");
  }
  assertEquals([it.client.stats.inFlight, it.client.stats.queuedPublishes, it.client.connected], [0, 0, true]);
  store.fail("write", undefined);
  const next = it.client.publish("b", "", { qos: QOS_1 });
  await it.connection.expect("32 05 0001 'b' 0002");
  await it.connection.send("40 02 0002");
  await next;
  await it.end();
  assertEquals(store.publishes(), []);
});

Deno.test("MQTTClient sends what waits in the window behind a publish that could not be stored", async () => {
  await using broker = await playBroker();
  const store = new NotingStore("async");
  const it = await connect(broker, store, { config: { ...KEPT, max_inflight: 1 } });
  const begun = Promise.withResolvers<void>();
  store.onWrite = begun.resolve;
  store.fail("write", new Error("no room"));
  store.stall();
  const first = it.client.publish("a", "", { qos: QOS_1 });
  await begun.promise;
  const second = it.client.publish("b", "", { qos: QOS_1 });
  first.catch(() => store.fail("write", undefined));
  store.onWrite = () => store.fail("write", undefined);
  store.resume();
  await assertRejects(() => first, ClientError);
  await it.connection.expect("32 05 0001 'b' 0002");
  await it.connection.send("40 02 0002");
  await second;
  await it.end();
});

test("rejects a publish that cannot be stored while the link is down", async (store, broker) => {
  const it = await connect(broker, store);
  await it.lose();
  store.fail("write", new Error("no room"));
  await assertRejects(() => it.client.publish("a", "", { qos: QOS_1 }), ClientError, "no room");
  assertEquals(it.client.stats.queuedPublishes, 0);
  await it.client.disconnect();
});

test("drops the link when a step cannot be stored, and loses and repeats nothing", async (store, broker) => {
  const it = await connect(broker, store);
  const published = it.client.publish("t", "", { qos: QOS_2 });
  await it.connection.expect("34 05 0001 't' 0001");
  await it.connection.send("34 06 0001 't' 0007 'x'");
  await it.connection.expect("50 02 0007");
  store.fail("write", new Error("no room"));
  const lost = event(it.client, "disconnect");
  await it.connection.send("50 02 0001", "34 06 0001 't' 0008 'y'");
  const { error, willReconnect } = await lost;
  assert(willReconnect && error instanceof ClientError, String(error));
  await it.connection.expectEnd();
  store.fail("write", undefined);
  const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
  await connection.expect("62 02 0001");
  await connection.send("70 02 0001", "3c 06 0001 't' 0008 'y'");
  await connection.expect("50 02 0008");
  await published;
  assertEquals([(await it.client.deliverMessage(1)).text(), (await it.client.deliverMessage(1)).text()], ["x", "y"]);
  assertEquals(it.client.stats.queuedMessages, 0);
  await new Kept(it.client, connection).end();
  assertEquals([store.stored().received.sort(), store.publishes()], [[7, 8], []]);
});

test(
  "sends no PUBCOMP whose end of the flow cannot be stored: the broker sends PUBREL again",
  async (store, broker) => {
    const it = await connect(broker, store);
    await it.connection.send("34 06 0001 't' 0005 'x'");
    await it.connection.expect("50 02 0005");
    store.fail("write", new Error("no room"));
    const lost = event(it.client, "disconnect");
    await it.connection.send("62 02 0005");
    await lost;
    await it.connection.expectEnd();
    store.fail("write", undefined);
    const connection = await broker.welcome(CONNACK_SESSION_PRESENT);
    await connection.send("62 02 0005");
    await connection.expect("70 02 0005");
    assertEquals(store.stored().received, []);
    await connection.send("34 06 0001 't' 0005 'y'");
    await connection.expect("50 02 0005");
    assertEquals([(await it.client.deliverMessage(1)).text(), (await it.client.deliverMessage(1)).text()], ["x", "y"]);
    await new Kept(it.client, connection).end();
  },
);

test("keeps for the next write what it could not remove", async (store, broker) => {
  const it = await connect(broker, store);
  const first = it.client.publish("a", "", { qos: QOS_1 });
  await it.connection.expect("32 05 0001 'a' 0001");
  store.fail("write", new Error("no room"));
  await it.connection.send("40 02 0001");
  await first;
  await it.client.publish("b", "");
  await it.connection.expect("30 03 0001 'b'");
  assertEquals(store.publishes(), ["1 a QoS 1 published 1"]);
  store.fail("write", undefined);
  await it.end();
  assertEquals(store.publishes(), []);
});

// Back-pressure.

for (const kind of ["sync", "async"] as const) {
  Deno.test(`MQTTClient with a store sends no more than a broker reads, and a bounded rest (${kind})`, async () => {
    const [ours, theirs] = createPipe({ highWaterMark: 1 });
    const store = new NotingStore(kind);
    const client = new MQTTClient({ clientId: "id", config: KEPT, store, transport: () => Promise.resolve(ours) });
    const connecting = client.connect("mqtt://broker.invalid");
    await theirs.read();
    await theirs.write(bytes(CONNACK_SESSION_PRESENT));
    await connecting;
    const size = 64 * 1024, count = 500;
    for (let i = 0; i < count; i++) client.publish("t", new Uint8Array(size), { qos: QOS_1 }).catch(() => {});
    let mostUnread = 0;
    for (let read = 0; read < count * size;) {
      const chunk = await theirs.read();
      read += chunk?.length ?? Infinity;
      mostUnread = Math.max(mostUnread, client.stats.messagesSent * size - read);
    }
    assert(mostUnread < 3 * 1024 * 1024, `${mostUnread} bytes`);
    assertEquals(client.stats.messagesSent, count);
    const disconnected = client.disconnect({ drain: 0 });
    theirs.close();
    await disconnected;
    assertEquals([store.openSessions, store.stored().publishes.length], [0, count]);
  });
}

Deno.test("MQTTClient with a store has 65,535 publishes in flight, and restores them", async () => {
  await using broker = await playBroker();
  const store = new MemorySessionStore();
  const first = await connect(broker, store);
  for (let i = 0; i < 65_536; i++) first.client.publish("t", "", { qos: QOS_1 }).catch(() => {});
  for (let i = 0; i < 65_535; i++) await first.connection.peer.readPacket();
  assertEquals([first.client.stats.inFlight, first.client.stats.queuedPublishes], [65_535, 1]);
  await first.end();
  const second = await connect(broker, store);
  assertEquals(second.client.pending.length, 65_536);
  await second.connection.expect("3a 05 0001 't' 0001");
  for (let i = 1; i < 65_535; i++) await second.connection.peer.readPacket();
  await second.connection.send("40 02 0001");
  await second.connection.expect("32 05 0001 't' 0001");
  await second.end();
});

// A real broker.

for (
  const [name, makeStore] of [
    ["MemorySessionStore", () => new MemorySessionStore()],
    ["an async store", () => new NotingStore("async")],
  ] as const
) {
  brokerTest(`MQTTClient hands a session from one client to the next (mosquitto, ${name})`, {}, async ({ uris }) => {
    const store = makeStore();
    const received: string[] = [];
    await using reader = new MQTTClient();
    await reader.connect(uris.mqtt);
    await reader.subscribe("t", QOS_2);
    const taken = Promise.withResolvers<void>();
    reader.onmessage = (message: ApplicationMessage) => {
      if (received.push(message.text()) === 40) taken.resolve();
    };
    for (let round = 0; round < 4; round++) {
      const client = makeClient(store);
      await client.connect(uris.mqtt);
      for (let i = 0; i < 10; i++) {
        client.publish("t", `${round}.${i}`, { qos: QOS_2 }).catch(() => {});
      }
      await client.disconnect({ drain: 0 });
    }
    await using last = makeClient(store);
    await last.connect(uris.mqtt);
    await last.drained();
    await taken.promise;
    const expected = [0, 1, 2, 3].flatMap((round) => Array.from({ length: 10 }, (_, i) => `${round}.${i}`));
    assertEquals(received, expected);
  });
}

Deno.test("MQTTClient keeps its session in the file that the configuration names, and lets go of it", async () => {
  await using broker = await playBroker();
  const folder = await Deno.makeTempDir();
  const config: ClientConfig = { ...KEPT, store: `${folder}/session.db` };
  const first = await connectFile(broker, config);
  first.client.publish("t", "x", { qos: QOS_2 }).catch(() => {});
  await first.connection.expect("34 06 0001 't' 0001 'x'");
  await first.connection.send("50 02 0001");
  await first.connection.expect("62 02 0001");
  await first.end();
  const second = await connectFile(broker, config);
  await second.connection.expect("62 02 0001");
  assertEquals(second.client.pending, [{ topic: "t", payload: bytes("'x'"), qos: QOS_2 }]);
  const rival = new MQTTClient({ clientId: "id", config });
  await assertRejects(() => rival.connect(broker.uri), ClientError, "in use");
  await second.connection.send("70 02 0001");
  await second.client.drained();
  await second.end();
  await Deno.remove(folder, { recursive: true });
});

async function connectFile(broker: PlayedBroker, config: ClientConfig): Promise<Kept> {
  const client = new MQTTClient({ clientId: "id", config });
  const [connection] = await Promise.all([broker.welcome(CONNACK_SESSION_PRESENT), client.connect(broker.uri)]);
  return new Kept(client, connection);
}
