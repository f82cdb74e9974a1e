import { assert, assertEquals, assertRejects } from "@std/assert";
import { ClientError, MQTTClient } from "../../mod.ts";
import { bytes } from "../codec/bytes.ts";
import { createPipe } from "../helpers/pipe.ts";
import { CONNACK, DISCONNECT, playLink } from "./played_broker.ts";

Deno.test("MQTTClient.disconnect() with drain: 0 does not wait for acknowledgements", async () => {
  await using link = await playLink();
  const { client, connection } = link;
  const published = client.publish("a", "x", { qos: 1 });
  await Promise.all([client.disconnect({ drain: 0 }), connection.expectEnd("32 06 0001 'a' 0001 'x'", DISCONNECT)]);
  await assertRejects(() => published, ClientError, "disconnected by disconnect()");
});

Deno.test("MQTTClient.disconnect() sends DISCONNECT when the last publish is acknowledged, or `drain` is over", async () => {
  for (const acknowledged of [true, false]) {
    await using link = await playLink();
    const { client, connection } = link;
    const published = client.publish("a", "x", { qos: 1 });
    const start = performance.now();
    const disconnected = client.disconnect({ drain: acknowledged ? 60 : 0.1 });
    await connection.expect("32 06 0001 'a' 0001 'x'");
    if (acknowledged) await connection.send("40 02 0001");
    await connection.expectEnd(DISCONNECT);
    await disconnected;
    if (acknowledged) assertEquals((await published).packetId, 1);
    else {
      assert(performance.now() - start >= 99);
      await assertRejects(() => published, ClientError, "disconnected by disconnect()");
    }
  }
});

Deno.test("MQTTClient.disconnect() waits one second beside `drain` for a broker that neither reads nor answers", async () => {
  const [end, broker] = createPipe({ highWaterMark: 1024 });
  const client = new MQTTClient({ transport: () => Promise.resolve(end) });
  await broker.write(bytes(CONNACK));
  await client.connect("mqtt://broker");
  const published = client.publish("a", new Uint8Array(2048), { qos: 1 });
  const start = performance.now();
  await client.disconnect({ drain: 0 });
  const elapsed = performance.now() - start;
  assert(elapsed > 990 && elapsed < 1900, `it took ${elapsed} ms`);
  await assertRejects(() => published, ClientError, "disconnected by disconnect()");
});

Deno.test("MQTTClient.messages() after disconnect() is done, and takes messages when the client connects again", async () => {
  await using link = await playLink();
  const { client, connection, broker } = link;
  await Promise.all([client.disconnect(), connection.expectEnd(DISCONNECT)]);
  assertEquals(await client.messages("a").next(), { done: true, value: undefined });
  const messages = client.messages("a");
  const [second] = await Promise.all([broker.welcome(), client.connect(broker.uri)]);
  await second.send("30 03 0001 'a'");
  assertEquals((await messages.next()).value?.topic, "a");
});
