import { assert, assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import { ClientError, MQTTClient } from "../../mod.ts";
import { event, playBroker, playLink, QUICK } from "../client/played_broker.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { startFaultProxy } from "../helpers/fault_proxy.ts";

brokerTest(
  "MQTTClient completes its work when the broker is killed and started again",
  { persistence: true },
  async (broker) => {
    await using client = new MQTTClient({ clientId: "survivor", config: { ...QUICK, cleansession: false } });
    await client.connect(broker.uris.mqtt);
    await client.subscribe("kept/#", 2);
    const lost = event(client, "disconnect");
    await broker.kill("SIGTERM");
    await lost;
    const published = [0, 1, 2].map((qos) => client.publish("kept/topic", `${qos}`, { qos: qos as 0 | 1 | 2 }));
    const pinged = client.ping();
    await broker.start();
    await Promise.all([...published, pinged]);
    const payloads = [];
    for (let i = 0; i < 3; i++) payloads.push((await client.deliverMessage(10)).text());
    assertEquals(payloads, ["0", "1", "2"]);
  },
);

brokerTest("MQTTClient restores its subscriptions when the broker was killed and has lost them", {}, async (broker) => {
  await using client = new MQTTClient({ config: QUICK });
  await client.connect(broker.uris.mqtt);
  await client.subscribe([["a/#", 1], ["b/+", 0]]);
  await client.subscribe("gone", 1);
  await client.unsubscribe("gone");
  const lost = event(client, "disconnect");
  await broker.restart("SIGKILL");
  await lost;
  await client.publish("a/1", "a", { qos: 1 });
  await client.publish("gone", "gone", { qos: 1 });
  await client.publish("b/1", "b", { qos: 1 });
  assertEquals([(await client.deliverMessage(10)).text(), (await client.deliverMessage(10)).text()], ["a", "b"]);
});

Deno.test("MQTTClient.connect() gives up a broker that accepts and says nothing, and finds the next one", async () => {
  await using silent = await playBroker();
  await using broker = await playBroker();
  const client = new MQTTClient({
    config: { uri: [silent.uri, broker.uri], connect_timeout: 0.1, auto_reconnect: false },
  });
  const [connection] = await Promise.all([broker.welcome(), client.connect()]);
  await Promise.all([client.disconnect({ drain: 0 }), connection.expectEnd("e0 00")]);
});

Deno.test("MQTTClient finds a half-open link by an unanswered ping, and restores it", async () => {
  await using link = await playLink({ ...QUICK, keep_alive: 1, ping_delay: 0.9, ping_timeout: 0.2 });
  const { broker, client, connection } = link;
  await connection.expect("c0 00");
  const [{ error, willReconnect }] = await Promise.all([event(client, "disconnect"), broker.welcome()]);
  assert(willReconnect);
  assert(error instanceof ClientError && error.message.includes("unanswered"), String(error));
});

Deno.test("MQTTClient finds a half-open link although it writes on and on", async () => {
  await using link = await playLink({ ...QUICK, keep_alive: 1, ping_delay: 0.9, ping_timeout: 0.2 });
  const { broker, client, connection } = link;
  const writing = setInterval(() => void client.publish("t", "x", { qos: 1 }), 20);
  const swallowed = connection.peer.readToEnd();
  const [{ error }, next] = await Promise.all([event(client, "disconnect"), broker.welcome()]);
  clearInterval(writing);
  assert(error instanceof ClientError && error.message.includes("unanswered"), String(error));
  assertEquals((await next.peer.readPacket())[0], 0x32); // published again
  await swallowed;
});

Deno.test("MQTTClient raises no false alarm while it leaves the connection unread", async () => {
  const config = { ...QUICK, keep_alive: 1, ping_delay: 0.9, ping_timeout: 0.2, max_queued_messages: 1 };
  await using link = await playLink(config);
  const { client, connection } = link;
  // A PINGRESP would stand behind these, which nobody takes.
  await connection.send("30 04 00 01 74 31", "30 04 00 01 74 32");
  for (let i = 0; i < 6; i++) { // keep-alive goes on, far beyond the time-out
    await connection.expect("c0 00");
    await connection.send("d0 00");
  }
  assert(client.connected);
  assertEquals((await client.deliverMessage(1)).text(), "1");
  assertEquals((await client.deliverMessage(1)).text(), "2");
  await connection.expect("c0 00");
  await connection.send("d0 00");
  assert(client.connected);
});

Deno.test("MQTTClient raises no false alarm while a packet trickles in for longer than the time-out", async () => {
  const config = { ...QUICK, keep_alive: 1, ping_delay: 0.9, ping_timeout: 0.15 };
  await using link = await playLink(config);
  const { client, connection } = link;
  await connection.expect("c0 00");
  await connection.send(`30 ${"0b"} 00 01 74`); // its payload of 8 bytes comes one by one, the PINGRESP behind it
  for (const byte of ["61", "62", "63", "64", "65", "66", "67", "68"]) {
    await connection.expect("c0 00"); // 0.1 s pass
    await connection.send(byte);
  }
  assertEquals((await client.deliverMessage(1)).text(), "abcdefgh");
  assert(client.connected);
});

Deno.test("MQTTClient raises no false alarm when the event loop was blocked for longer than the time-out", async () => {
  const config = { ...QUICK, keep_alive: 1, ping_delay: 0.95, ping_timeout: 0.1 };
  await using link = await playLink(config);
  const { client, connection } = link;
  let lost = false;
  client.addEventListener("disconnect", () => lost = true, { once: true });
  await connection.expect("c0 00");
  await connection.send("d0 00"); // in the kernel by now
  const end = performance.now() + 500;
  while (performance.now() < end);
  await connection.expect("c0 00");
  await connection.send("d0 00");
  const pinged = client.ping();
  await connection.expect("c0 00");
  await connection.send("d0 00");
  await pinged;
  assert(!lost && client.connected);
});

brokerTest("1,000 clients come back spread over the time that the jitter gives them", {}, async (broker) => {
  const clients = Array.from(
    { length: 1000 },
    () => new MQTTClient({ config: { reconnect_retries: -1, keep_alive: 0 } }),
  );
  await using proxy = await startFaultProxy(broker.ports.mqtt);
  for (let i = 0; i < clients.length; i += 50) {
    await Promise.all(clients.slice(i, i + 50).map((client) => client.connect(proxy.uri)));
  }
  const delays: number[] = [];
  const back = clients.map((client) => {
    client.addEventListener("reconnecting", ({ detail }) => delays.push(detail.delay), { once: true });
    return event(client, "connect");
  });
  await proxy.cut("rst");
  await Promise.all(back);
  assertEquals(delays.length, 1000);
  delays.sort((a, b) => a - b);
  assert(delays[0] >= 0.5 && delays[999] <= 1, `${delays[0]}…${delays[999]}`);
  // In each twentieth of the time about as many as in any other.
  for (let slot = 0; slot < 20; slot++) {
    const start = 0.5 + slot * 0.025;
    const count = delays.filter((delay) => delay >= start && delay < start + 0.025).length;
    assertGreater(count, 10);
    assertLess(count, 120);
  }
  await Promise.all(clients.map((client) => client.disconnect({ drain: 0 })));
});

brokerTest(
  "MQTTClient.publish() rejects the message that the broker breaks the connection for, and goes on with those behind it",
  {
    maxPacketSize: 2000,
  },
  async (broker) => {
    await using receiver = new MQTTClient();
    await receiver.connect(broker.uris.mqtt);
    await receiver.subscribe("size/#", 1);
    await using client = new MQTTClient({ config: { ...QUICK, max_publish_attempts: 4 } });
    await client.connect(broker.uris.mqtt);
    const before = [1, 2].map((i) => client.publish("size/before", `${i}`, { qos: 1 }));
    const oversized = client.publish("size/large", new Uint8Array(5000), { qos: 1 });
    const behind = [1, 2].map((i) => client.publish("size/behind", `${i}`, { qos: 2 }));
    const error = await assertRejects(() => oversized, ClientError);
    assert(error.message.includes('"size/large"') && error.message.includes("5000 bytes"), error.message);
    await Promise.all([...before, ...behind]);
    assertGreater(client.stats.reconnects, 2);
    assertLess(client.stats.reconnects, 8);
    const topics = new Set<string>();
    while (topics.size < 2) topics.add((await receiver.deliverMessage(10)).topic);
    assertEquals(topics, new Set(["size/before", "size/behind"]));
  },
);

brokerTest("MQTTClient goes on when mosquitto drops a message over message_size_limit and breaks the connection", {
  messageSizeLimit: 1000,
}, async (broker) => {
  await using client = new MQTTClient({ config: QUICK });
  await client.connect(broker.uris.mqtt);
  // Mosquitto 2.0.11 acknowledges it all the same.
  await client.publish("size/large", new Uint8Array(5000), { qos: 1 });
  await client.publish("size/small", "x", { qos: 2 });
  assertLess(client.stats.reconnects, 3);
});
