import { assert, assertEquals, assertMatch, assertRejects, assertStrictEquals } from "@std/assert";
import {
  type ApplicationMessage,
  ClientError,
  type ConnectOptions,
  formatPacket,
  MQTTClient,
  type MQTTClientOptions,
  type PacketType,
  QOS_0,
  QOS_1,
  QOS_2,
} from "../../mod.ts";

/** How the broker of a test is reached: with these a client connects as the scheme under test wants it. */
export interface Reached {
  readonly uri: string;
  readonly options?: ConnectOptions;
  readonly config?: MQTTClientOptions["config"];
}

/** The versions of the protocol, with the words that tell the runs of the suite apart. */
export const VERSIONS = [[4, "mosquitto"], [5, "MQTT 5.0, mosquitto"]] as const;

/** Registers a test that gets a broker of its own. */
export type ReachedTest = (name: string, test: (broker: Reached) => Promise<void>) => void;

const ALL_QOS = [QOS_0, QOS_1, QOS_2] as const;

/** Registers tests of the documented client, all of it, over one way to a broker. */
export function clientSuite(way: string, reachedTest: ReachedTest): void {
  const test: ReachedTest = (name, fn) => reachedTest(`${name} (${way})`, fn);

  test("MQTTClient.connect() resolves with 0 and tells about the connection", async (broker) => {
    await using client = newClient(broker, { clientId: "suite-1" });
    assertEquals([client.connected, client.connack], [false, undefined]);
    const events: unknown[] = [];
    client.addEventListener("connect", ({ detail }) => events.push(detail));
    assertStrictEquals(await client.connect(broker.uri, broker.options), 0);
    assertEquals(client.connected, true);
    assertEquals(client.clientId, "suite-1");
    const properties = speaks5(broker) ? { topicAliasMaximum: 10 } : {};
    assertEquals(client.connack, { returnCode: 0, sessionPresent: false, properties });
    assertEquals(events, [{ returnCode: 0, sessionPresent: false, uri: broker.uri }]);
  });

  test("MQTTClient connects with a client identifier that it makes itself", async (broker) => {
    await using client = await connected(broker);
    assertMatch(client.clientId, /^hbmqtt\/[0-9A-Za-z]{16}$/);
  });

  test("MQTTClient.publish() resolves for QoS 0 with a message that no packet answers", async (broker) => {
    await using client = await connected(broker);
    const message = await client.publish("a/b", "TEST");
    assertEquals(fieldsOf(message), { topic: "a/b", text: "TEST", qos: 0, retain: false, dup: false, packetId: 0 });
    assertEquals(message.properties, {});
    assertEquals(message.publishPacket.type, "PUBLISH");
    assertEquals(answersOf(message), [undefined, undefined, undefined, undefined]);
  });

  test("MQTTClient.publish() resolves for QoS 1 with PUBACK", async (broker) => {
    await using client = await connected(broker);
    const message = await client.publish("a/b", "TEST", { qos: QOS_1 });
    assertEquals(fieldsOf(message), { topic: "a/b", text: "TEST", qos: 1, retain: false, dup: false, packetId: 1 });
    assertEquals(answersOf(message), ["PUBACK", undefined, undefined, undefined]);
    assertEquals(message.pubackPacket?.packetId, 1);
  });

  test("MQTTClient.publish() resolves for QoS 2 with PUBREC, PUBREL and PUBCOMP", async (broker) => {
    await using client = await connected(broker);
    const message = await client.publish("a/b", "TEST", { qos: QOS_2 });
    assertEquals(fieldsOf(message), { topic: "a/b", text: "TEST", qos: 2, retain: false, dup: false, packetId: 1 });
    assertEquals(answersOf(message), [undefined, "PUBREC", "PUBREL", "PUBCOMP"]);
    assertEquals(message.pubcompPacket?.packetId, 1);
  });

  test("MQTTClient.publish() takes defaults from the configuration, and 0 and false when they are given", async (broker) => {
    const topics = { "a/1": { qos: QOS_2, retain: false }, "a/2": { qos: QOS_0 } };
    await using client = await connected(broker, { config: { default_qos: 1, default_retain: true, topics } });
    const flags = async (publishing: Promise<ApplicationMessage>) => {
      const { qos, retain } = await publishing;
      return [qos, retain];
    };
    assertEquals(await flags(client.publish("a", "")), [1, true]);
    assertEquals(await flags(client.publish("a", "", { qos: 0, retain: false })), [0, false]);
    assertEquals(await flags(client.publish("a/1", "")), [2, false]);
    assertEquals(await flags(client.publish("a/1", "", { qos: 0 })), [0, false]);
    assertEquals(await flags(client.publish("a/2", "", { retain: false })), [0, false]);
    assertEquals(await flags(client.publish("a/2", "")), [0, true]);
  });

  test("MQTTClient.subscribe() gives the codes of SUBACK in order", async (broker) => {
    await using client = await connected(broker);
    assertEquals(await client.subscribe("a"), [0]);
    assertEquals(await client.subscribe("a", QOS_1), [1]);
    assertEquals(await client.subscribe([["a/+", QOS_2], ["b/#", QOS_0], { filter: "c" }]), [2, 0, 0]);
  });

  test("MQTTClient.unsubscribe() gives a code for each filter and ends the subscriptions", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe([["a", QOS_1], ["b", QOS_1], ["c", QOS_1]]);
    const noSubscriptionExisted = speaks5(broker) ? 0x11 : 0;
    assertEquals(await client.unsubscribe(["a", "never subscribed"]), [0, noSubscriptionExisted]);
    assertEquals(await client.unsubscribe("b"), [0]);
    for (const topic of ["a", "b", "c"]) await client.publish(topic, "x", { qos: QOS_1 });
    assertEquals((await client.deliverMessage(5)).topic, "c");
    await assertRejects(() => client.deliverMessage(0), DOMException, "No message came");
  });

  for (const qos of ALL_QOS) {
    test(`MQTTClient receives at QoS ${qos} what it has subscribed to, once, in order`, async (broker) => {
      await using client = await connected(broker);
      await client.subscribe("a/#", qos);
      const count = 200;
      const published = range(count).map((i) => client.publish(`a/${i % 3}`, String(i), { qos }));
      const received = [];
      for (let i = 0; i < count; i++) received.push(await client.deliverMessage(5));
      await Promise.all(published);
      assertEquals(received.map((message) => message.text()), range(count).map(String));
      assertEquals(received.map((message) => message.topic), range(count).map((i) => `a/${i % 3}`));
      assert(received.every((message) => message.qos === qos && !message.retain && !message.dup));
      assert(received.every(({ packetId }) => qos === 0 ? packetId === 0 : packetId > 0));
      await assertRejects(() => client.deliverMessage(0));
    });
  }

  test("ApplicationMessage holds the packets of the flow that it was received by", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe([["a/0", QOS_0], ["a/1", QOS_1], ["a/2", QOS_2]]);
    for (const qos of ALL_QOS) await client.publish(`a/${qos}`, "", { qos });
    const [zero, one, two] = [
      await client.deliverMessage(5),
      await client.deliverMessage(5),
      await client.deliverMessage(5),
    ];
    assertEquals(answersOf(zero), [undefined, undefined, undefined, undefined]);
    assertEquals(answersOf(one), ["PUBACK", undefined, undefined, undefined]);
    await client.ping(); // The broker sends PUBREL for PUBREC, before PINGRESP.
    assertEquals(answersOf(two), [undefined, "PUBREC", "PUBREL", "PUBCOMP"]);
  });

  test("ApplicationMessage.text() and .json() read the payload", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a");
    await client.publish("a", new TextEncoder().encode(`{"größe": 3}`));
    const message = await client.deliverMessage(5);
    assertEquals(message.text(), `{"größe": 3}`);
    assertEquals(message.json<{ größe: number }>(), { größe: 3 });
  });

  test("MQTTClient sends and receives an empty payload", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a", QOS_1);
    await client.publish("a", "", { qos: QOS_1 });
    await client.publish("a", new Uint8Array(0));
    assertEquals((await client.deliverMessage(5)).payload, new Uint8Array(0));
    assertEquals((await client.deliverMessage(5)).text(), "");
  });

  test("MQTTClient sends and receives large payloads at every QoS, with small messages between", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a/#", QOS_2);
    const payloads = ALL_QOS.map((qos) => patterned(1024 * 1024 - qos, qos));
    await Promise.all(ALL_QOS.flatMap((qos) => [
      client.publish(`a/${qos}`, payloads[qos], { qos }),
      client.publish("a/small", String(qos), { qos }),
    ]));
    const received = [];
    for (let i = 0; i < 6; i++) received.push(await client.deliverMessage(10));
    for (const qos of ALL_QOS) {
      const [large] = received.filter(({ topic }) => topic === `a/${qos}`);
      assert(equal(large.payload, payloads[qos]), `the payload of QoS ${qos} came over unchanged`);
    }
    assertEquals(received.filter(({ topic }) => topic === "a/small").map((m) => m.text()).sort(), ["0", "1", "2"]);
  });

  test("MQTTClient keeps what it has received while it reads on", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a");
    const payloads = range(100).map((i) => patterned(1000 + 10 * i, i));
    for (const payload of payloads) await client.publish("a", payload);
    const received = [];
    for (const _ of payloads) received.push(await client.deliverMessage(5));
    for (const [i, { payload }] of received.entries()) assert(equal(payload, payloads[i]), `message ${i} is unchanged`);
  });

  test("MQTTClient takes topics of any characters but wildcards and U+0000", async (broker) => {
    await using client = await connected(broker);
    const topics = ["/", "a//b", " a b ", "*", "größe/€/𝄞/漢字", "a\u00adb", "x".repeat(1000)];
    for (const topic of topics) assertEquals(await client.subscribe(topic, QOS_1), [1]);
    for (const topic of topics) await client.publish(topic, topic, { qos: QOS_1 });
    for (const topic of topics) {
      const message = await client.deliverMessage(5);
      assertEquals([message.topic, message.text()], [topic, topic]);
    }
  });

  test("MQTTClient.publish() with retain leaves a message for later subscribers, an empty one removes it", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("r", QOS_1);
    assertEquals((await client.publish("r", "kept", { qos: QOS_1, retain: true })).retain, true);
    assertEquals((await client.deliverMessage(5)).retain, false);
    await using late = await connected(broker);
    await late.subscribe("r", QOS_1);
    const kept = await late.deliverMessage(5);
    assertEquals([kept.text(), kept.retain], ["kept", true]);
    await client.publish("r", "", { qos: QOS_1, retain: true });
    assertEquals((await late.deliverMessage(5)).text(), "");
    await using latest = await connected(broker);
    await latest.subscribe([["r", QOS_1], ["barrier", QOS_1]]);
    await latest.publish("barrier", "", { qos: QOS_1 });
    assertEquals((await latest.deliverMessage(5)).topic, "barrier");
  });

  test("MQTTClient leaves a will that the broker publishes when it loses the client", async (broker) => {
    await using watcher = await connected(broker);
    await watcher.subscribe("will/#", QOS_2);
    const wills = [
      { topic: "will/full", message: "gone", qos: QOS_1, retain: true },
      { topic: "will/bytes", message: Uint8Array.of(0xff, 0) },
      { topic: "will/empty", message: "" },
    ];
    const wanted = [[1, "gone"], [0, "\ufffd\0"], [0, ""]];
    for (const [i, will] of wills.entries()) {
      const config = { will, auto_reconnect: false };
      await using victim = await connected(broker, { clientId: "victim", config });
      const lost = new Promise((resolve) => victim.addEventListener("disconnect", resolve));
      await using _usurper = await connected(broker, { clientId: "victim" });
      await lost;
      const message = await watcher.deliverMessage(5);
      assertEquals([message.topic, message.qos, message.text()], [will.topic, ...wanted[i]]);
    }
    await using late = await connected(broker);
    await late.subscribe("will/#");
    const kept = await late.deliverMessage(5);
    assertEquals([kept.topic, kept.retain], ["will/full", true]);
    await assertRejects(() => late.deliverMessage(0));
  });

  test("MQTTClient disconnects at the end of its scope, without leaving its will", async (broker) => {
    await using watcher = await connected(broker);
    await watcher.subscribe("a");
    let left: MQTTClient;
    {
      await using client = await connected(broker, { config: { will: { topic: "a", message: "will" } } });
      left = client;
    }
    assertEquals(left.connected, false);
    await watcher.publish("a", "barrier");
    assertEquals((await watcher.deliverMessage(5)).text(), "barrier");
  });

  test("MQTTClient.deliverMessage() serves those who wait in the order of their calls", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a");
    const waiting = range(3).map(() => client.deliverMessage(5));
    for (const i of range(4)) await client.publish("a", String(i));
    assertEquals((await Promise.all(waiting)).map((message) => message.text()), ["0", "1", "2"]);
    assertEquals((await client.deliverMessage()).text(), "3");
  });

  test("MQTTClient.deliverMessage() rejects after its time, at once for 0, and no message is lost by that", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a");
    const start = performance.now();
    const early = await assertRejects(() => client.deliverMessage(0.05), DOMException);
    assertEquals(early.name, "TimeoutError");
    assert(performance.now() - start >= 49);
    const poll = await assertRejects(() => client.deliverMessage(0), DOMException);
    assertEquals(poll.name, "TimeoutError");
    const controller = new AbortController();
    const aborted = client.deliverMessage(5, { signal: controller.signal });
    const served = client.deliverMessage(5);
    controller.abort(new RangeError("enough"));
    await assertRejects(() => aborted, RangeError, "enough");
    await client.publish("a", "1");
    assertEquals((await served).text(), "1");
    await client.publish("a", "2");
    await client.ping();
    assertEquals((await client.deliverMessage(0)).text(), "2");
  });

  test("MQTTClient iterates over the queue of deliverMessage(), and leaves the rest of it", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a");
    for (const i of range(5)) await client.publish("a", String(i));
    const seen = [];
    for await (const message of client) {
      seen.push(message.text());
      if (seen.length === 2) break;
    }
    seen.push((await client.deliverMessage(5)).text());
    for await (const message of client) {
      seen.push(message.text());
      if (seen.length === 5) break;
    }
    assertEquals(seen, ["0", "1", "2", "3", "4"]);
  });

  test("MQTTClient.messages() gives a message to every iterator that it matches, and to nobody else then", async (broker) => {
    await using client = await connected(broker);
    const all = client.messages("home/#"), kitchen = client.messages("home/kitchen/+");
    const pushed: string[] = [];
    client.onmessage = (message) => void pushed.push(message.topic);
    await client.subscribe("#");
    const topics = ["home/kitchen/light", "home", "garden", "home/hall/light", "home/kitchen/door"];
    for (const topic of topics) await client.publish(topic, "");
    await client.ping();
    assertEquals(pushed, ["garden"]);
    client.onmessage = null;
    await client.publish("garden", "");
    assertEquals((await client.deliverMessage(5)).topic, "garden");
    assertEquals(await take(all, 4), ["home/kitchen/light", "home", "home/hall/light", "home/kitchen/door"]);
    assertEquals(await take(kitchen, 2), ["home/kitchen/light", "home/kitchen/door"]);
    await client.publish("home", "");
    assertEquals((await client.deliverMessage(5)).topic, "home"); // Both iterators were left.
  });

  test("MQTTClient.messages() ends with the reason of its signal", async (broker) => {
    await using client = await connected(broker);
    const controller = new AbortController();
    const messages = client.messages("a", { signal: controller.signal });
    await client.subscribe("a");
    await client.publish("a", "1");
    assertEquals((await messages.next()).value?.text(), "1");
    const next = messages.next();
    controller.abort(new RangeError("enough"));
    await assertRejects(() => next, RangeError, "enough");
    assertEquals(await messages.next(), { done: true, value: undefined });
    await client.publish("a", "2");
    assertEquals((await client.deliverMessage(5)).text(), "2");
  });

  test("MQTTClient.messages() that is full stops the reading, and nothing is lost by that", async (broker) => {
    await using client = await connected(broker);
    await using publisher = await connected(broker);
    const messages = client.messages("a/#", { limit: 3 });
    await client.subscribe("#", QOS_1);
    const published = range(50).map((i) => publisher.publish(`a/${i}`, "", { qos: QOS_1 }));
    await Promise.all(published);
    await publisher.publish("b", "", { qos: QOS_1 });
    assertEquals((await messages.next()).value?.topic, "a/0");
    await assertRejects(() => client.deliverMessage(0.05), DOMException);
    assert(client.stats.queuedMessages <= 3, `${client.stats.queuedMessages} messages are queued`);
    assertEquals(await take(messages, 49), range(50).slice(1).map((i) => `a/${i}`));
    assertEquals((await client.deliverMessage(5)).topic, "b");
  });

  test("MQTTClient.onmessage takes messages one at a time and in order, those of before included", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a");
    for (const i of range(3)) await client.publish("a", String(i));
    await client.ping();
    const steps: string[] = [];
    const { promise: done, resolve } = Promise.withResolvers<void>();
    client.onmessage = async (message) => {
      steps.push(`begin ${message.text()}`);
      await client.ping();
      steps.push(`end ${message.text()}`);
      if (message.text() === "5") resolve();
    };
    for (const i of range(3)) await client.publish("a", String(3 + i));
    await done;
    assertEquals(steps, range(6).flatMap((i) => [`begin ${i}`, `end ${i}`]));
    const texts: string[] = [];
    client.onmessage = (message) => void texts.push(message.text());
    for (const i of range(3)) await client.publish("a", String(i));
    await client.ping();
    assertEquals(texts, ["0", "1", "2"]);
    client.onmessage = null;
    await client.publish("a", "queued");
    assertEquals((await client.deliverMessage(5)).text(), "queued");
  });

  test("ApplicationMessage.ack() acknowledges in the order of arrival with manual_ack", async (broker) => {
    await using client = await connected(broker, { config: { manual_ack: true } });
    await using publisher = await connected(broker);
    await client.subscribe([["a/1", QOS_1], ["a/2", QOS_2]]);
    const acknowledged: string[] = [];
    client.addEventListener("packet", ({ detail: { direction, packet } }) => {
      if (direction === "out" && (packet.type === "PUBACK" || packet.type === "PUBREC")) acknowledged.push(packet.type);
    });
    for (const qos of [QOS_1, QOS_2] as const) {
      for (const text of ["x", "y"]) await publisher.publish(`a/${qos}`, text, { qos });
    }
    const messages = [];
    for (const _ of range(4)) messages.push(await client.deliverMessage(5));
    const [x1, y1, x2, y2] = messages;
    assertEquals(acknowledged, []);
    y1.ack();
    assertEquals([acknowledged.length, y1.pubackPacket], [0, undefined]);
    x2.ack();
    assertEquals(acknowledged, ["PUBREC"]);
    x1.ack();
    assertEquals(acknowledged, ["PUBREC", "PUBACK", "PUBACK"]);
    for (const message of messages) message.ack(); // A second time does nothing.
    assertEquals(acknowledged, ["PUBREC", "PUBACK", "PUBACK", "PUBREC"]);
    await client.ping();
    assertEquals(answersOf(y1), ["PUBACK", undefined, undefined, undefined]);
    assertEquals(answersOf(y2), [undefined, "PUBREC", "PUBREL", "PUBCOMP"]);
  });

  test("MQTTClient.ping() resolves on PINGRESP and measures the round trip", async (broker) => {
    await using client = await connected(broker);
    const packets = recordTypes(client);
    await Promise.all([client.ping(), client.ping()]);
    assertEquals(packets, ["out PINGREQ", "out PINGREQ", "in PINGRESP", "in PINGRESP"]);
    assert(client.stats.roundTrip > 0 && client.stats.roundTrip < 5);
  });

  test("MQTTClient.stats counts what went over the connection", async (broker) => {
    await using client = newClient(broker, { clientId: "12345", config: { topic_aliases: false } });
    const nothing = { bytesReceived: 0, bytesSent: 0, packetsReceived: 0, packetsSent: 0, messagesReceived: 0 };
    const waiting = { messagesSent: 0, inFlight: 0, queuedPublishes: 0, queuedMessages: 0, reconnects: 0 };
    assertEquals(client.stats, { ...nothing, ...waiting, roundTrip: 0 });
    await client.connect(broker.uri, broker.options);
    await client.subscribe("a", QOS_1);
    const publishing = client.publish("a", "xyz", { qos: QOS_1 });
    assertEquals(client.stats.inFlight, 1);
    await publishing;
    await client.ping();
    // Of MQTT 5.0: Topic Alias Maximum in CONNACK, the Subscription Identifier in SUBSCRIBE and the PUBLISH received, and their lengths.
    const propertiesReceived = speaks5(broker) ? 4 + 1 + 3 : 0, propertiesSent = speaks5(broker) ? 1 + 3 + 1 : 0;
    assertEquals({ ...client.stats, roundTrip: 0 }, {
      // CONNACK, SUBACK, PUBLISH, PUBACK, PINGRESP
      bytesReceived: 4 + 5 + 10 + 4 + 2 + propertiesReceived,
      // CONNECT, SUBSCRIBE, PUBLISH, PUBACK, PINGREQ
      bytesSent: 19 + lengthOfCredentials(broker) + 8 + 10 + 4 + 2 + propertiesSent,
      packetsReceived: 5,
      packetsSent: 5,
      messagesReceived: 1,
      messagesSent: 1,
      inFlight: 0,
      queuedPublishes: 0,
      queuedMessages: 1,
      reconnects: 0,
      roundTrip: 0,
    });
  });

  test("MQTTClient tells of every packet, which formatPacket() writes in one line", async (broker) => {
    await using client = newClient(broker, { clientId: "hbmqtt/0123456789abcdef", config: { topic_aliases: false } });
    const lines: string[] = [];
    client.addEventListener("packet", ({ detail: { direction, packet } }) => {
      lines.push(formatPacket(client.clientId, direction, packet).replace(/ts=[-0-9]{10} [:.0-9]{12}/, "ts"));
    });
    await client.connect(broker.uri, broker.options);
    await client.publish("a/b", "TEST", { qos: QOS_1 });
    await client.disconnect();
    const noMatchingSubscribers = speaks5(broker) ? 0x10 : 0;
    const id = "hbmqtt/0123456789abcdef";
    assertEquals(lines.map((line) => line.replace(/( CONNECT| CONNACK)\(ts, .*\)$/, "$1(ts)")), [
      `${id} -out-> CONNECT(ts)`,
      `${id} <-in-- CONNACK(ts)`,
      `${id} -out-> PUBLISH(ts, dup=false, qos=1, retain=false, topic="a/b", packetId=1, payload="TEST")`,
      `${id} <-in-- PUBACK(ts, packetId=1, reasonCode=${noMatchingSubscribers})`,
      `${id} -out-> DISCONNECT(ts, reasonCode=0)`,
    ]);
  });

  test("MQTTClient.disconnect() ends those who wait; what was received can still be taken", async (broker) => {
    const client = await connected(broker);
    const events: unknown[] = [];
    client.addEventListener("disconnect", ({ detail }) => events.push(detail));
    const iterator = client[Symbol.asyncIterator](), messages = client.messages("none");
    const waiting = [client.deliverMessage(5), iterator.next(), messages.next()] as const;
    await client.disconnect();
    await assertRejects(() => waiting[0], ClientError, "disconnect");
    assertEquals(await waiting[1], { done: true, value: undefined });
    assertEquals(await waiting[2], { done: true, value: undefined });
    assertEquals(client.connected, false);
    assertEquals(events, [{ error: undefined, reasonCode: undefined, willReconnect: false }]);
    await client.disconnect(); // Again: nothing.
    assertEquals(events.length, 1);

    await client.connect(broker.uri, broker.options);
    const kept = client.messages("a");
    await client.subscribe("#");
    for (const topic of ["a", "b", "a", "b"]) await client.publish(topic, "");
    await client.ping();
    await client.disconnect();
    assertEquals((await client.deliverMessage(0)).topic, "b");
    const rest = [];
    for await (const { topic } of client) rest.push(topic);
    for await (const { topic } of kept) rest.push(topic);
    assertEquals(rest, ["b", "a", "a"]);
    await assertRejects(() => client.deliverMessage(0), ClientError, "disconnected");
  });

  test("MQTTClient.disconnect() waits for publishes under way", async (broker) => {
    const client = await connected(broker);
    await using watcher = await connected(broker);
    await watcher.subscribe("a", QOS_2);
    const published = range(100).map((i) => client.publish("a", String(i), { qos: ALL_QOS[i % 3] }));
    await client.disconnect();
    assertEquals((await Promise.all(published)).length, 100);
    const received = new Set<string>();
    for (const _ of published) received.add((await watcher.deliverMessage(5)).text());
    assertEquals(received.size, 100);
  });

  test("MQTTClient.connect() connects again after disconnect()", async (broker) => {
    await using client = await connected(broker);
    for (const round of range(3)) {
      await client.subscribe("a", QOS_1);
      assertEquals((await client.publish("a", String(round), { qos: QOS_1 })).packetId, 2); // SUBSCRIBE had 1.
      assertEquals((await client.deliverMessage(5)).text(), String(round));
      await client.disconnect();
      assertEquals(await client.connect(broker.uri, broker.options), 0);
    }
  });

  test("MQTTClient.connect() resumes the session that the broker keeps", async (broker) => {
    await using client = newClient(broker, { clientId: "keeper", config: { session_expiry_interval: 60 } });
    await client.connect(broker.uri, { ...broker.options, cleanSession: false });
    assertEquals(client.connack?.sessionPresent, false);
    await client.subscribe("a", QOS_1);
    await client.disconnect();
    await using publisher = await connected(broker);
    await publisher.publish("a", "meanwhile", { qos: QOS_1 });
    await client.connect(broker.uri, { ...broker.options, cleanSession: false });
    assertEquals(client.connack?.sessionPresent, true);
    assertEquals((await client.deliverMessage(5)).text(), "meanwhile");
    await client.disconnect();
    await client.connect(broker.uri, { ...broker.options, cleanSession: true });
    assertEquals(client.connack?.sessionPresent, false);
    await publisher.publish("a", "lost", { qos: QOS_1 });
    await client.ping();
    await assertRejects(() => client.deliverMessage(0));
  });

  test("MQTTClient.reconnect() makes a new connection and restores the subscriptions", async (broker) => {
    await using client = await connected(broker);
    await client.subscribe("a", QOS_1);
    await client.subscribe("b", QOS_2);
    await client.unsubscribe("b");
    const packets = recordTypes(client);
    assertEquals(await client.reconnect(), 0);
    await client.publish("b", "", { qos: QOS_1 });
    await client.publish("a", "", { qos: QOS_1 });
    assertEquals((await client.deliverMessage(5)).topic, "a");
    assertEquals(packets.slice(0, 4), ["out DISCONNECT", "out CONNECT", "in CONNACK", "out SUBSCRIBE"]);
    assertEquals(packets.filter((type) => type === "out SUBSCRIBE").length, 1);
  });
}

function speaks5({ config }: Reached): boolean {
  return config?.protocol_version === 5;
}

/** Gives how many bytes user name and password, ASCII both, take in CONNECT. */
function lengthOfCredentials({ config = {} }: Reached): number {
  const { username, password } = config;
  return [username, password].reduce((length, field) => length + (field === undefined ? 0 : 2 + field.length), 0);
}

/** Makes a client that is configured for the way to the broker. */
export function newClient(broker: Reached, options: MQTTClientOptions = {}): MQTTClient {
  return new MQTTClient({ ...options, config: { ...broker.config, ...options.config } });
}

/** Makes a client and connects it. */
export async function connected(broker: Reached, options: MQTTClientOptions = {}): Promise<MQTTClient> {
  const client = newClient(broker, options);
  await client.connect(broker.uri, broker.options);
  return client;
}

function range(count: number): number[] {
  return [...Array(count).keys()];
}

/** Takes so many messages of an iterator and leaves it. Gives their topics. */
async function take(messages: AsyncIterableIterator<ApplicationMessage>, count: number): Promise<string[]> {
  const topics = [];
  for await (const { topic } of messages) {
    topics.push(topic);
    if (topics.length === count) break;
  }
  return topics;
}

function fieldsOf(message: ApplicationMessage) {
  const { topic, qos, retain, dup, packetId } = message;
  return { topic, text: message.text(), qos, retain, dup, packetId };
}

function answersOf(message: ApplicationMessage): (PacketType | undefined)[] {
  const { pubackPacket, pubrecPacket, pubrelPacket, pubcompPacket } = message;
  return [pubackPacket, pubrecPacket, pubrelPacket, pubcompPacket].map((packet) => packet?.type);
}

function recordTypes(client: MQTTClient): string[] {
  const types: string[] = [];
  client.addEventListener("packet", ({ detail: { direction, packet } }) => types.push(`${direction} ${packet.type}`));
  return types;
}

/** Gives bytes that differ at every place and for every seed. */
function patterned(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, x = seed + 1; i < length; i++) {
    x = (Math.imul(x, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = x >>> 16;
  }
  return bytes;
}

/** Compares bytes faster than an assertion does, which matters for a megabyte. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
