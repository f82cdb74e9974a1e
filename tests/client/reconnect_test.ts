import { assert, assertEquals, assertInstanceOf, assertRejects, assertStrictEquals } from "@std/assert";
import { type ClientConfig, ClientError, ConnectError, ConnectionLostError, MQTTClient } from "../../mod.ts";
import { bytes } from "../codec/bytes.ts";
import { createPipe } from "../helpers/pipe.ts";
import {
  CONNACK,
  CONNACK_SESSION_PRESENT,
  DISCONNECT,
  event,
  PINGREQ,
  PINGRESP,
  playBroker,
  type PlayedConnection,
  type PlayedLink,
  playLink,
  QUICK,
  recordEvents,
} from "./played_broker.ts";

const ONCE: ClientConfig = { ...QUICK, auto_reconnect: false };

/** Cuts a connection and waits until the client is back on the next. */
async function cut(link: PlayedLink, connection: PlayedConnection, connack = CONNACK): Promise<PlayedConnection> {
  const [next] = await Promise.all([
    link.broker.welcome(connack),
    event(link.client, "connect"),
    connection.peer.close(),
  ]);
  return next;
}

/** Cuts the connection of a link and waits until the client knows. */
async function lose({ client, connection }: PlayedLink): Promise<void> {
  await Promise.all([event(client, "disconnect"), connection.peer.close()]);
}

/** Gives the Clean Session flag of a CONNECT. */
function cleanSession({ connect }: PlayedConnection): boolean {
  return (connect[9] & 2) !== 0;
}

Deno.test("MQTTClient restores a lost link and tells of each step", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const [lost, waiting, connected] = await Promise.all([
    event(client, "disconnect"),
    event(client, "reconnecting"),
    event(client, "connect"),
    cut(link, connection),
  ]);
  assert(lost.error instanceof ConnectionLostError && lost.error.message.includes(broker.uri), String(lost.error));
  assertEquals([lost.reasonCode, lost.willReconnect], [undefined, true]);
  assertEquals(waiting.attempt, 1);
  assert(waiting.delay >= 0.01 && waiting.delay <= 0.02, `${waiting.delay} s`);
  assertEquals(connected, { returnCode: 0, sessionPresent: false, uri: broker.uri });
  assertEquals([client.connected, client.stats.reconnects], [true, 1]);
});

Deno.test("MQTTClient tells of a link that broke in writing as of one that broke in reading", async () => {
  const cause = new RangeError("the line is cut");
  const [ours, theirs] = createPipe();
  let isCut = false;
  const client = new MQTTClient({
    config: ONCE,
    transport: () =>
      Promise.resolve({
        read: () => ours.read(),
        write: (bytes) => isCut ? Promise.reject(cause) : ours.write(bytes),
        close: () => ours.close(),
      }),
  });
  const connecting = client.connect("mqtt://broker.invalid");
  await theirs.read();
  await theirs.write(bytes(CONNACK));
  await connecting;
  const lost = event(client, "disconnect");
  isCut = true;
  await client.publish("t", "x");
  const { error } = await lost;
  const broke = error instanceof ConnectionLostError ? error.cause : undefined;
  assertStrictEquals(broke instanceof ConnectionLostError && broke.cause, cause);
});

Deno.test("MQTTClient tells of its state in events before and after each attempt, in order", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const connected = event(client, "connect");
  const states: boolean[] = [];
  for (const type of ["disconnect", "reconnecting", "connect"]) {
    client.addEventListener(type, () => states.push(client.connected));
  }
  await connection.peer.closeRst();
  await (await broker.accept()).peer.close();
  await (await broker.welcome("20 02 00 03")).peer.close();
  await broker.welcome();
  await connected;
  const outage = ["disconnect, will reconnect", "reconnecting 1", "reconnecting 2", "reconnecting 3", "connect"];
  assertEquals(events, outage);
  assertEquals(states, [false, false, false, false, true]);
});

Deno.test("MQTTClient makes its first retry within 1 s by default, and begins to wait anew after each success", async () => {
  await using link = await playLink({});
  const { client, connection } = link;
  for (let present = connection, i = 0; i < 2; i++) {
    const waiting = event(client, "reconnecting");
    const next = cut(link, present);
    const { attempt, delay } = await waiting;
    assertEquals(attempt, 1);
    assert(delay >= 0.5 && delay <= 1, `${delay} s`);
    present = await next;
  }
});

Deno.test("MQTTClient settles subscribe, unsubscribe, ping and publish calls by the link after the one they were sent on", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const calls = [
    client.subscribe([["a", 1], ["b", 2]]),
    client.unsubscribe(["c", "d"]),
    client.ping(),
    client.publish("t", "x", { qos: 1 }).then(({ packetId }) => [packetId]),
  ];
  const subscribe = "0001 'a' 01 0001 'b' 02", unsubscribe = "0001 'c' 0001 'd'";
  await connection.expect(`82 0a 0001 ${subscribe}`, `a2 08 0002 ${unsubscribe}`, PINGREQ, "32 06 0001 't' 0003 'x'");
  const second = await cut(link, connection);
  await second.expect(`82 0a 0001 ${subscribe}`, `a2 08 0002 ${unsubscribe}`, PINGREQ, "32 06 0001 't' 0003 'x'");
  await second.send("90 04 0001 01 80", "b0 02 0002", PINGRESP, "40 02 0003");
  assertEquals(await Promise.all(calls), [[1, 0x80], [0, 0], undefined, [3]]);
});

Deno.test("MQTTClient lets calls wait that are made while the link is down, and sends them in order", async () => {
  await using link = await playLink();
  const { client, broker } = link;
  await lose(link);
  const published = ([0, 1, 2] as const).map((qos) => client.publish("t", String(qos), { qos }));
  const subscribed = client.subscribe("a", 1), pinged = client.ping();
  assertEquals(client.stats.queuedPublishes, 3);
  const connection = await broker.welcome();
  await connection.expect("82 06 0001 0001 'a' 01", PINGREQ);
  await connection.expect("30 04 0001 't' '0'", "32 06 0001 't' 0002 '1'", "34 06 0001 't' 0003 '2'");
  await connection.send("90 03 0001 01", PINGRESP, "40 02 0002", "50 02 0003", "70 02 0003");
  await Promise.all([...published, subscribed, pinged]);
  assertEquals(client.stats.queuedPublishes, 0);
});

Deno.test("MQTTClient lets calls wait that are made while it connects for the first time", async () => {
  await using broker = await playBroker();
  const client = new MQTTClient({ config: QUICK });
  const calls = [client.connect(broker.uri), client.publish("t", "x"), client.ping()];
  const connection = await broker.welcome();
  await connection.expect(PINGREQ, "30 04 0001 't' 'x'");
  await connection.send(PINGRESP);
  await Promise.all(calls);
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
});

Deno.test("MQTTClient restores what was granted, as it was asked for, before anything else is sent", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const calls = [
    client.subscribe([["a", 1], ["refused", 2]]),
    client.subscribe([["b", 0], ["c", 2]]),
    client.unsubscribe("b"),
  ];
  const first = "82 10 0001 0001 'a' 01 0007 'refused' 02";
  await connection.expect(first, "82 0a 0002 0001 'b' 00 0001 'c' 02", "a2 05 0003 0001 'b'");
  await connection.send("90 04 0001 01 80", "90 04 0002 00 02", "b0 02 0003");
  await Promise.all(calls);
  await lose(link);
  const published = client.publish("t", "x", { qos: 1 });
  const second = await link.broker.welcome();
  await second.expect("82 06 0001 0001 'a' 01", "82 06 0002 0001 'c' 02", "32 06 0001 't' 0003 'x'");
  await second.send("40 02 0003");
  await published;
  // Cut before SUBACK: they are restored all the same, and not twice.
  const third = await cut(link, second);
  await third.expect("82 06 0001 0001 'a' 01", "82 06 0002 0001 'c' 02");
  await third.send("90 03 0001 01", "90 03 0002 02");
  const pinging = client.ping();
  await third.expect(PINGREQ);
  await third.send(PINGRESP);
  await pinging;
});

for (
  const [what, config, connack] of [
    ["when the broker still has the session", { ...QUICK, cleansession: false }, CONNACK_SESSION_PRESENT],
    ["with resubscribe: false", { ...QUICK, resubscribe: false }, CONNACK],
  ] as const
) {
  Deno.test(`MQTTClient does not subscribe again ${what}`, async () => {
    await using link = await playLink(config);
    const { client, connection } = link;
    const subscribed = client.subscribe("a", 1);
    await connection.expect("82 06 0001 0001 'a' 01");
    await connection.send("90 03 0001 01");
    await subscribed;
    const second = await cut(link, connection, connack);
    const pinging = client.ping();
    await second.expect(PINGREQ);
    await second.send(PINGRESP);
    await pinging;
  });
}

Deno.test("MQTTClient goes on with the QoS 2 message that was released, and repeats none to the application", async () => {
  await using link = await playLink({ ...QUICK, cleansession: false });
  const { client, connection } = link;
  const published = client.publish("t", "x", { qos: 2 });
  await connection.expect("34 06 0001 't' 0001 'x'");
  await connection.send("50 02 0001", "34 06 0001 'r' 0009 'y'");
  await connection.expect("62 02 0001", "50 02 0009");
  assertEquals((await client.deliverMessage(5)).text(), "y");
  const second = await cut(link, connection, CONNACK_SESSION_PRESENT);
  await second.expect("62 02 0001");
  await second.send("70 02 0001", "3c 06 0001 'r' 0009 'y'");
  await second.expect("50 02 0009");
  await second.send("62 02 0009");
  await second.expect("70 02 0009");
  assertEquals((await published).pubcompPacket?.packetId, 1);
  await assertRejects(() => client.deliverMessage(0), DOMException);
  // With the identifier released a message of the same number is another one.
  await second.send("34 06 0001 'r' 0009 'z'");
  assertEquals((await client.deliverMessage(5)).text(), "z");
});

Deno.test("MQTTClient.disconnect() while it waits to reconnect ends all at once", async () => {
  await using link = await playLink({});
  const { client, connection, broker } = link;
  const waiting = event(client, "reconnecting");
  const sent = client.publish("t", "x", { qos: 1 });
  await connection.expect("32 06 0001 't' 0001 'x'");
  await Promise.all([waiting, connection.peer.close()]);
  const events = recordEvents(client);
  const calls = [sent, client.publish("t", "y"), client.subscribe("a"), client.unsubscribe("a"), client.ping()];
  const received = client.deliverMessage(), iterated = client[Symbol.asyncIterator]().next();
  await client.disconnect();
  for (const call of [...calls, received]) await assertRejects(() => call, ClientError, "disconnected by disconnect()");
  assertEquals(await iterated, { done: true, value: undefined });
  assertEquals(events, ["disconnect"]);
  assertEquals(broker.peer.connectionCount, 1);
});

Deno.test("MQTTClient.disconnect() rejects the publishes that are not acknowledged in the time of drain", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const published = client.publish("t", "x", { qos: 1 });
  await connection.expect("32 06 0001 't' 0001 'x'");
  const disconnecting = client.disconnect({ drain: 0.05 });
  await Promise.all([disconnecting, connection.expectEnd(DISCONNECT)]);
  await assertRejects(() => published, ClientError, "disconnected by disconnect()");
});

Deno.test("MQTTClient.disconnect() waits for the acknowledgement while the time of drain lasts", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const published = client.publish("t", "x", { qos: 2 });
  await connection.expect("34 06 0001 't' 0001 'x'");
  const disconnecting = client.disconnect({ drain: 60 });
  await connection.send("50 02 0001");
  await connection.expect("62 02 0001");
  await connection.send("70 02 0001");
  await Promise.all([disconnecting, connection.expectEnd(DISCONNECT), published]);
});

Deno.test("MQTTClient.disconnect() does not wait for a broker that leaves the connection open", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const start = performance.now();
  await client.disconnect({ drain: 0 });
  assert(performance.now() - start < 5000);
  await connection.expectEnd(DISCONNECT);
});

Deno.test("MQTTClient without auto_reconnect ends everything when the link is lost", async () => {
  await using link = await playLink(ONCE);
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const calls = [
    client.publish("t", "x", { qos: 1 }),
    client.subscribe("a"),
    client.unsubscribe("a"),
    client.ping(),
    client.deliverMessage(),
    client[Symbol.asyncIterator]().next(),
    client.messages("a").next(),
  ];
  const [{ error }] = await Promise.all([event(client, "disconnect"), connection.peer.closeRst()]);
  assert(error instanceof ConnectionLostError && error.cause instanceof Error, String(error));
  for (const call of calls) assertStrictEquals(await call.catch((error) => error), error);
  assertEquals([events, client.connected, broker.peer.connectionCount], [["disconnect"], false, 1]);
});

Deno.test("MQTTClient can still give what it has received after it has given up", async () => {
  await using link = await playLink(ONCE);
  const { client, connection } = link;
  const kept = client.messages("k");
  await connection.send("30 04 0001 'a' '1'", "30 04 0001 'k' '2'", "30 04 0001 'a' '3'");
  await lose(link);
  assertEquals((await client.deliverMessage(0)).text(), "1");
  const iterator = client[Symbol.asyncIterator]();
  assertEquals((await iterator.next()).value?.text(), "3");
  assertEquals((await kept.next()).value?.text(), "2");
  for (const ended of [iterator, kept]) {
    await assertRejects(() => ended.next(), ConnectionLostError);
    assertEquals(await ended.next(), { done: true, value: undefined });
  }
});

Deno.test("MQTTClient gives up when its retries are used up, with the last refusal as the cause", async () => {
  await using link = await playLink({ ...QUICK, reconnect_retries: 2 });
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const sent = client.publish("t", "x", { qos: 1 });
  await connection.peer.close();
  await (await broker.accept()).peer.close();
  await (await broker.accept()).peer.close();
  const refused = await broker.welcome("20 02 00 03");
  const error = await assertRejects(() => sent, ConnectionLostError);
  assertInstanceOf(error.cause, ConnectError);
  assertEquals(error.cause.returnCode, 3);
  const outage = ["disconnect, will reconnect", "reconnecting 1", "reconnecting 2", "reconnecting 3", "disconnect"];
  assertEquals(events, outage);
  await refused.expectEnd();
  await assertRejects(() => client.ping(), ClientError, "will not reconnect");
});

Deno.test("MQTTClient does not retry what a retry cannot cure when it reconnects either", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const pinging = client.ping();
  await connection.peer.close();
  await (await broker.welcome("20 02 00 05")).expectEnd();
  const error = await assertRejects(() => pinging, ConnectionLostError, "not authorized");
  assertInstanceOf(error.cause, ConnectError);
  assertEquals(broker.peer.connectionCount, 2);
});

// reconnect() by hand

Deno.test("MQTTClient.reconnect() ends a connection in good order and makes another at once", async () => {
  await using link = await playLink({});
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const sent = client.publish("t", "x", { qos: 1 });
  await connection.expect("32 06 0001 't' 0001 'x'");
  const reconnecting = client.reconnect();
  assertEquals(client.connected, false);
  await connection.expectEnd(DISCONNECT);
  const second = await broker.welcome();
  assertEquals(await reconnecting, 0);
  await second.expect("32 06 0001 't' 0001 'x'");
  await second.send("40 02 0001");
  await sent;
  assertEquals(events, ["disconnect, will reconnect", "connect"]);
});

Deno.test("MQTTClient.reconnect() while it waits to reconnect does so at once", async () => {
  await using link = await playLink({});
  const { client, connection, broker } = link;
  await Promise.all([event(client, "reconnecting"), connection.peer.close()]);
  const pinging = client.ping();
  const reconnecting = client.reconnect();
  const second = await broker.welcome();
  assertEquals(await reconnecting, 0);
  await second.expect(PINGREQ);
  await second.send(PINGRESP);
  await pinging;
});

Deno.test("MQTTClient.reconnect() connects again after disconnect() and after giving up", async () => {
  await using link = await playLink(ONCE);
  const { client, connection, broker } = link;
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  const [second] = await Promise.all([broker.welcome(), client.reconnect()]);
  await Promise.all([event(client, "disconnect"), second.peer.close()]);
  await Promise.all([broker.welcome(), client.reconnect()]);
  assertEquals(client.connected, true);
});

Deno.test("MQTTClient.reconnect() says with cleanSession how to connect from now on", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  assertEquals(cleanSession(connection), true);
  const [second] = await Promise.all([
    broker.welcome(CONNACK_SESSION_PRESENT),
    client.reconnect({ cleanSession: false }),
    connection.expectEnd(DISCONNECT),
  ]);
  assertEquals([cleanSession(second), client.connack?.sessionPresent], [false, true]);
  const third = await cut(link, second, CONNACK_SESSION_PRESENT);
  assertEquals(cleanSession(third), false);
  const [fourth] = await Promise.all([
    broker.welcome(),
    client.reconnect({ cleanSession: true }),
    third.expectEnd(DISCONNECT),
  ]);
  assertEquals(cleanSession(fourth), true);
});

Deno.test("MQTTClient.reconnect() called twice at the same time makes one connection", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const both = [client.reconnect(), client.reconnect()];
  await Promise.all([connection.expectEnd(DISCONNECT), broker.welcome()]);
  assertEquals(await Promise.all(both), [0, 0]);
  assertEquals(broker.peer.connectionCount, 2);
});

Deno.test("MQTTClient.reconnect() called while another one connects takes its place", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const first = client.reconnect();
  await connection.expectEnd(DISCONNECT);
  const abandoned = await broker.accept();
  const second = client.reconnect();
  await abandoned.expectEnd();
  await broker.welcome();
  assertEquals(await Promise.all([first, second]), [0, 0]);
});

Deno.test("MQTTClient.disconnect() in the same turn as reconnect() wins, and the broker gets its DISCONNECT", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const both = [client.reconnect(), client.reconnect()];
  const disconnecting = client.disconnect();
  await Promise.all([disconnecting, connection.expectEnd(DISCONNECT)]);
  for (const reconnecting of both) await assertRejects(() => reconnecting, ClientError, "disconnect");
  assertEquals([client.connected, events], [false, ["disconnect"]]);
  await assertRejects(() => client.ping(), ClientError, "call connect() again");
  assertEquals(broker.peer.connectionCount, 1);
});

Deno.test("MQTTClient.disconnect() while reconnect() says farewell wins", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const reconnecting = client.reconnect();
  await connection.expect(DISCONNECT);
  const disconnecting = client.disconnect();
  await Promise.all([disconnecting, connection.expectEnd()]);
  await assertRejects(() => reconnecting, ClientError, "disconnect");
  assertEquals([client.connected, broker.peer.connectionCount], [false, 1]);
});

Deno.test("MQTTClient.disconnect() while reconnect() connects wins", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  const reconnecting = client.reconnect();
  await connection.expectEnd(DISCONNECT);
  const second = await broker.accept();
  await Promise.all([client.disconnect(), second.expectEnd()]);
  await assertRejects(() => reconnecting, ClientError, "disconnect");
  assertEquals([client.connected, broker.peer.connectionCount], [false, 2]);
});

Deno.test("MQTTClient.reconnect() that fails rejects, and ends what waits", async () => {
  await using link = await playLink({ ...QUICK, reconnect_retries: 1 });
  const { client, connection, broker } = link;
  const events = recordEvents(client);
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  const reconnecting = client.reconnect();
  await connection.expectEnd(DISCONNECT);
  for (let i = 0; i < 2; i++) await (await broker.accept()).peer.close();
  await assertRejects(() => reconnecting, ConnectError);
  await assertRejects(() => pinging, ConnectError);
  assertEquals(events, ["disconnect, will reconnect", "reconnecting 1", "disconnect"]);
});

Deno.test("MQTTClient.reconnect() ends the client when its signal aborts, at any moment", async () => {
  const reason = new RangeError("enough");
  const moments: ((link: PlayedLink, abort: () => void) => Promise<void>)[] = [
    (_link, abort) => Promise.resolve(abort()),
    async ({ connection }, abort) => {
      await connection.expect(DISCONNECT);
      abort();
    },
    async ({ connection, broker }, abort) => {
      await connection.expectEnd(DISCONNECT);
      const second = await broker.accept();
      abort();
      await second.expectEnd();
    },
  ];
  for (const moment of moments) {
    await using link = await playLink();
    const controller = new AbortController();
    const reconnecting = link.client.reconnect({ signal: controller.signal }).catch((error) => error);
    await moment(link, () => controller.abort(reason));
    await link.connection.peer.close();
    assertStrictEquals(await reconnecting, reason);
    assertEquals(link.client.connected, false);
    await assertRejects(() => link.client.ping(), ClientError, "will not reconnect");
  }
});

Deno.test("MQTTClient.reconnect() with a signal that has aborted before changes nothing", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  await assertRejects(() => client.reconnect({ signal: AbortSignal.abort() }), DOMException);
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await pinging;
});

Deno.test("MQTTClient.reconnect() reads on although its queue was full", async () => {
  await using link = await playLink({ ...QUICK, max_queued_messages: 2 });
  const { client, connection, broker } = link;
  const message = (text: string) => `30 04 0001 'a' '${text}'`;
  const full = Promise.withResolvers<void>();
  client.addEventListener("packet", () => client.stats.queuedMessages === 1 && full.resolve());
  await connection.send(message("1"), message("2"), message("3"));
  await full.promise;
  const reconnecting = client.reconnect();
  await connection.expectEnd(DISCONNECT);
  const second = await broker.welcome();
  await reconnecting;
  await second.send(message("4"), message("5"), message("6"));
  const received = [];
  for (let i = 0; i < 5; i++) received.push((await client.deliverMessage(5)).text());
  assertEquals(received, ["1", "2", "4", "5", "6"]); // "3" was unread, and of QoS 0.
});
