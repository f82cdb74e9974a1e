import { assert, assertEquals, assertRejects } from "@std/assert";
import { type ClientConfig, ClientError, ConnectionLostError, MQTTClient } from "../../mod.ts";
import { bytes, hex } from "../codec/bytes.ts";
import { endOfTurn } from "../helpers/end_of_turn.ts";
import { createPipe } from "../helpers/pipe.ts";
import { CONNACK, event, PINGREQ, PINGRESP, type PlayedConnection, playLink, QUICK } from "./played_broker.ts";

/** A link that is down, and does not come up before `up()` lets it. */
async function offline(config: ClientConfig = {}) {
  const link = await playLink({ ...config, reconnect_retries: -1 });
  const { client, connection, broker } = link;
  await Promise.all([event(client, "reconnecting"), connection.peer.close()]);
  return {
    client,
    async up(): Promise<PlayedConnection> {
      const [next] = await Promise.all([broker.welcome(), client.reconnect()]);
      return next;
    },
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  };
}

/** Publishes one letter at QoS 0. */
const publish = (client: MQTTClient, text: string, signal?: AbortSignal) => client.publish("t", text, { signal });

/** Reads messages of one letter until `last`. */
async function receive(connection: PlayedConnection, last: string): Promise<string> {
  let texts = "";
  while (!texts.endsWith(last)) texts += String.fromCharCode((await connection.peer.readPacket())[5]);
  return texts;
}

Deno.test("MQTTClient.publish() rejects at once when the offline queue is full, and the queue goes out in order", async () => {
  await using link = await offline({ max_queued_publishes: 3 });
  const { client, up } = link;
  const queued = ["a", "b", "c"].map((text) => publish(client, text));
  assertEquals(client.stats.queuedPublishes, 3);
  const { message } = await assertRejects(() => publish(client, "d"), ClientError, "offline queue is full");
  assert(message.includes('"t"') && message.includes("max_queued_publishes"), message);
  const connection = await up();
  assertEquals(await receive(connection, "c"), "abc");
  await Promise.all(queued);
  await publish(client, "e");
  assertEquals(await receive(connection, "e"), "e");
});

Deno.test("MQTTClient.publish() counts topics and payloads against max_queued_bytes", async () => {
  await using link = await offline({ max_queued_bytes: 10 });
  const { client, up } = link;
  await assertRejects(() => client.publish("t", "0123456789"), ClientError, "max_queued_bytes");
  const queued = client.publish("t", "12345678");
  await assertRejects(() => publish(client, "x"), ClientError, "1 publishes, 9 bytes");
  const last = client.publish("t", "");
  const connection = await up();
  await connection.expect("30 0b 0001 't' '12345678'", "30 03 0001 't'");
  await Promise.all([queued, last]);
});

Deno.test("MQTTClient.publish() with queue_full: wait waits for its turn", async () => {
  await using link = await offline({ max_queued_publishes: 2, queue_full: "wait" });
  const { client, up } = link;
  const published = [..."abcde"].map((text) => publish(client, text));
  const connection = await up();
  assertEquals(await receive(connection, "e"), "abcde");
  await Promise.all(published);
});

Deno.test("MQTTClient.publish() with queue_full: drop_oldest rejects the oldest that waits", async () => {
  await using link = await offline({ max_queued_publishes: 2, queue_full: "drop_oldest" });
  const { client, up } = link;
  const published = [..."abcd"].map((text) => publish(client, text));
  for (const dropped of published.slice(0, 2)) {
    await assertRejects(() => dropped, ClientError, 'Dropped the publish to "t"');
  }
  const connection = await up();
  assertEquals(await receive(connection, "d"), "cd");
  await Promise.all(published.slice(2));
});

for (const queue_full of ["reject", "wait", "drop_oldest"] as const) {
  Deno.test(`MQTTClient.publish() with queue_full: ${queue_full} rejects what the queue could never hold`, async () => {
    await using link = await offline({ max_queued_bytes: 5, queue_full });
    const { client } = link;
    const queued = publish(client, "a");
    await assertRejects(() => client.publish("t", "12345"), ClientError, "max_queued_bytes");
    assertEquals(client.stats.queuedPublishes, 1);
    await Promise.all([client.disconnect(), assertRejects(() => queued, ClientError)]);
  });
}

Deno.test("MQTTClient.publish() with queue_qos_0: false rejects QoS 0 while the link is down, and queues the others", async () => {
  await using link = await offline({ queue_qos_0: false });
  const { client, up } = link;
  await assertRejects(() => publish(client, "a"), ClientError, "queue_qos_0");
  const queued = client.publish("t", "b", { qos: 1 });
  const connection = await up();
  await connection.expect("32 06 0001 't' 0001 'b'");
  await connection.send("40 02 0001");
  await queued;
  await publish(client, "c");
  await connection.expect("30 04 0001 't' 'c'");
});

Deno.test("MQTTClient.publish() with a signal leaves the offline queue when it aborts, and makes room", async () => {
  await using link = await offline({ max_queued_publishes: 2 });
  const { client, up } = link;
  const controller = new AbortController();
  const first = publish(client, "a"), second = publish(client, "b", controller.signal);
  controller.abort(new RangeError("enough"));
  await assertRejects(() => second, RangeError, "enough");
  assertEquals(client.stats.queuedPublishes, 1);
  const third = publish(client, "c");
  const connection = await up();
  assertEquals(await receive(connection, "c"), "ac");
  await Promise.all([first, third]);
});

Deno.test("MQTTClient.publish() with a signal that aborts after the sending goes on without its caller", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const controller = new AbortController(), { signal } = controller;
  const calls = [
    client.publish("t", "x", { qos: 2, signal }),
    client.subscribe("a", 0, { signal }),
    client.unsubscribe("b", { signal }),
    client.ping({ signal }),
  ];
  await connection.expect("34 06 0001 't' 0001 'x'", "82 06 0002 0001 'a' 00", "a2 05 0003 0001 'b'", "c0 00");
  controller.abort(new RangeError("enough"));
  for (const call of calls) await assertRejects(() => call, RangeError, "enough");
  assertEquals(client.stats.inFlight, 1);
  await connection.send("50 02 0001", "90 03 0002 00", "b0 02 0003", "d0 00");
  await connection.expect("62 02 0001");
  await connection.send("70 02 0001");
  await client.publish("t", "y");
  await connection.expect("30 04 0001 't' 'y'");
  assertEquals(client.stats.inFlight, 0);
});

Deno.test("MQTTClient lets a signal go once the call that it was for is settled", async () => {
  await using link = await playLink({ ...QUICK, auto_reconnect: false });
  const { client, connection } = link;
  const controller = new AbortController(), { signal } = controller;
  const published = client.publish("t", "x", { qos: 1, signal });
  await connection.expect("32 06 0001 't' 0001 'x'");
  await connection.send("40 02 0001");
  assertEquals((await published).text(), "x");
  const pinging = client.ping({ signal }), subscribed = client.subscribe("a", 0, { signal });
  await connection.peer.close();
  for (const call of [pinging, subscribed]) await assertRejects(() => call, ConnectionLostError);
  controller.abort();
  await assertRejects(() => client.ping({ signal }), ClientError, "will not reconnect");
});

Deno.test("MQTTClient lets calls wait while the window is full, in order", async () => {
  await using link = await playLink({ ...QUICK, max_inflight: 2, max_queued_publishes: 0 });
  const { client, connection } = link;
  const published = [..."abcd"].map((text) => client.publish("t", text, { qos: 1 }));
  assertEquals([client.stats.inFlight, client.stats.queuedPublishes], [2, 2]);
  await connection.expect("32 06 0001 't' 0001 'a'", "32 06 0001 't' 0002 'b'");
  await connection.send("40 02 0002");
  await connection.expect("32 06 0001 't' 0003 'c'");
  await connection.send("40 02 0001", "40 02 0003");
  await connection.expect("32 06 0001 't' 0004 'd'");
  await connection.send("40 02 0004");
  assertEquals((await Promise.all(published)).map((message) => message.text()).join(""), "abcd");
});

/** A client over a pipe whose broker takes one chunk at a time. */
async function stalled() {
  const [end, broker] = createPipe({ highWaterMark: 0 });
  const client = new MQTTClient({ transport: () => Promise.resolve(end), config: { ...QUICK, auto_reconnect: false } });
  const connecting = client.connect("mqtt://pipe");
  await broker.read();
  await broker.write(bytes(CONNACK));
  await connecting;
  return {
    client,
    broker,
    async [Symbol.asyncDispose]() {
      const disconnecting = client.disconnect({ drain: 0 });
      while (await broker.read() !== null);
      broker.close();
      await disconnecting;
    },
  };
}

Deno.test("MQTTClient.publish() goes on after a payload larger than the write buffer, whatever was sent behind it", async () => {
  await using link = await stalled();
  const { client, broker } = link;
  const large = client.publish("t", new Uint8Array(200_000)), behind = client.publish("t", "a");
  const header = await broker.read(); // Now the payload is being written.
  assertEquals(header, bytes("30 c3 9a 0c 0001 't'"));
  const pinging = client.ping();
  const last = client.publish("t", "b");
  assertEquals((await broker.read())?.length, 200_000);
  assertEquals(await broker.read(), bytes("30 04 0001 't' 'a'"));
  assertEquals(await broker.read(), bytes(`${PINGREQ} 30 04 0001 't' 'b'`));
  await broker.write(bytes(PINGRESP));
  await Promise.all([large, behind, pinging, last]);
});

/** Notes in which order promises are settled, and how. */
class Settlements {
  readonly all: string[] = [];

  watch(name: string, promise: Promise<unknown>): void {
    promise.then(() => this.all.push(name), (error) => this.all.push(`${name}: ${error.message}`));
  }
}

Deno.test("MQTTClient.publish() of QoS 0 waits while the write buffer is full", async () => {
  await using link = await stalled();
  const { client, broker } = link;
  const settled = new Settlements();
  settled.watch("fits", client.publish("t", "x"));
  settled.watch("fills", client.publish("t", new Uint8Array(200_000)));
  settled.watch("behind", client.publish("t", "a"));
  const controller = new AbortController();
  settled.watch("abandoned", client.publish("t", "b", { signal: controller.signal }));
  settled.watch("patient", client.publish("t", "c", { signal: new AbortController().signal }));
  await broker.read(); // Now the payload is being written.
  assertEquals(settled.all, ["fits"]);
  controller.abort(new Error("enough"));
  await endOfTurn();
  assertEquals(settled.all, ["fits", "abandoned: enough"]);
  assertEquals((await broker.read())?.length, 200_000);
  await endOfTurn();
  assertEquals(settled.all.length, 2);
  assertEquals(await broker.read(), bytes("30 04 0001 't' 'a' 30 04 0001 't' 'b' 30 04 0001 't' 'c'"));
  await endOfTurn();
  assertEquals(settled.all.slice(2).sort(), ["behind", "fills", "patient"]);
});

Deno.test("MQTTClient.publish() of QoS 0 queues what a write buffer does not take that nobody empties, whatever it is of", async () => {
  await using link = await stalled();
  const { client } = link;
  for (let i = 0; i < 120_000; i++) client.publish("t", ""); // of 5 bytes each
  const { messagesSent, queuedPublishes } = client.stats;
  assertEquals(messagesSent + queuedPublishes, 120_000);
  assertEquals(Math.floor(messagesSent * 5 / 1024), 448);
});

Deno.test("MQTTClient.publish() of QoS 0 that is in the write buffer is done when the connection is gone", async () => {
  await using link = await stalled();
  const { client, broker } = link;
  const settled = new Settlements();
  settled.watch("fills", client.publish("t", new Uint8Array(200_000)));
  settled.watch("behind", client.publish("t", "a"));
  settled.watch("acknowledged", client.publish("t", "b", { qos: 1 }));
  await broker.read();
  broker.close();
  await event(client, "disconnect");
  await endOfTurn();
  assertEquals(settled.all.length, 3);
  assertEquals(settled.all.slice(0, 2), ["fills", "behind"]);
  assert(settled.all[2].includes("will not be restored"), settled.all[2]);
});

Deno.test("MQTTClient keeps a payload as it is given to publish(), and changes no bytes of it", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  for (const length of [3, 200_000]) {
    const payload = new Uint8Array(length).fill(7);
    const published = client.publish("t", payload, { qos: 1 });
    const packet = await connection.peer.readPacket();
    assertEquals(hex(packet.subarray(-3)), "070707");
    await connection.send(`40 02 000${length === 3 ? 1 : 2}`);
    assert((await published).payload === payload && payload.every((byte) => byte === 7));
  }
});
