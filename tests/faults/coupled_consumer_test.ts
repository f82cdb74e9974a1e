import { assertEquals } from "@std/assert";
import { playLink, QUICK } from "../client/played_broker.ts";

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
