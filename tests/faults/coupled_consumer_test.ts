import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import { type ClientConfig, ConnectionLostError, MQTTClient } from "../../mod.ts";
import { event, playLink, QUICK } from "../client/played_broker.ts";

// At the limit the socket is not read: the answer stands behind the messages, and the application behind the answer.
Deno.test(
  "MQTTClient answers a consumer that awaits its own publish, with a full queue before the answer",
  async () => {
    await using link = await playLink({ ...QUICK, max_queued_messages: 3 });
    const { client, connection } = link;
    const count = 10;
    const forwarding = (async () => {
      const forwarded: string[] = [];
      for await (const message of client) {
        await client.publish("out", message.payload, { qos: 1 });
        forwarded.push(message.text());
        if (forwarded.length === count) break;
      }
      return forwarded;
    })();
    const texts = Array.from({ length: count }, (_, i) => String(i));
    await connection.send(...texts.map((text) => `30 04 0001 'a' '${text}'`));
    for (let id = 1; id <= count; id++) {
      await connection.peer.readPacket();
      await connection.send(`40 02 00${id.toString(16).padStart(2, "0")}`);
    }
    assertEquals(await forwarding, texts);
  },
);

Deno.test("MQTTClient.ping() resolves though the answer stands behind messages that nobody takes", async () => {
  await using link = await playLink({ ...QUICK, max_queued_messages: 3 });
  const { client, connection } = link;
  const texts = Array.from({ length: 10 }, (_, i) => String(i));
  const pinged = client.ping();
  await connection.expect("c0 00");
  await connection.send(...texts.map((text) => `30 04 0001 'a' '${text}'`), "d0 00");
  await pinged;
  const taken = [];
  while (client.stats.queuedMessages > 0) taken.push((await client.deliverMessage()).text());
  assertEquals(taken, texts);
});

const SIZE = 60_000;
const MIB = 1024 * 1024;

/** A client of a broker that sends message after message and answers nothing but CONNECT. */
async function connectToFlood(config: ClientConfig): Promise<MQTTClient> {
  const chunk = new Uint8Array(SIZE);
  chunk.set([0x30, 0xdc, 0xd4, 0x03, 0, 1, 0x74]); // PUBLISH t
  let connack: Uint8Array | undefined = Uint8Array.of(0x20, 2, 0, 0);
  let isClosed = false;
  const transport = {
    async read() {
      const first = connack;
      connack = undefined;
      if (first !== undefined) return first;
      await new Promise((resolve) => setTimeout(resolve));
      return isClosed ? null : chunk;
    },
    write: () => Promise.resolve(),
    close: () => void (isClosed = true),
  };
  const client = new MQTTClient({ transport: () => Promise.resolve(transport), config: { ...QUICK, ...config } });
  await client.connect("mqtt://broker");
  return client;
}

Deno.test("MQTTClient reads no more than 64 MiB past a full queue, however long an answer takes", async () => {
  const client = await connectToFlood({ max_queued_messages: 10, keep_alive: 0 });
  const published = assertRejects(() => client.publish("t", "x", { qos: 1 }));
  const bytes = () => client.stats.queuedMessages * SIZE;
  for (let before = -1; before !== bytes() || before < 32 * MIB;) {
    before = bytes();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assertLess(bytes(), 66 * MIB);
  await client.disconnect({ drain: 0 });
  await published;
});

Deno.test("MQTTClient ends with an error where nobody takes 64 MiB of messages and calls wait behind more", async () => {
  const client = await connectToFlood({ max_queued_messages: 10, keep_alive: 0, ping_timeout: 0.3 });
  const ended = event(client, "disconnect");
  await assertRejects(
    () => client.publish("t", "x", { qos: 1 }),
    ConnectionLostError,
    "messages wait that nobody takes",
  );
  assert(!(await ended).willReconnect);
});
