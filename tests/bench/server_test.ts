import { assertEquals } from "@std/assert";
import { topicOf } from "../../bench/publish_packet.ts";
import { Server } from "../../bench/server.ts";
import { MQTTClient, QOS_0, QOS_1, QOS_2 } from "../../mod.ts";

/** Runs `use` with a client of a load server, and gives what the server has counted. */
async function withServer(
  mode: Parameters<typeof Server.start>[0],
  options: Parameters<typeof Server.start>[1],
  use: (client: MQTTClient) => Promise<void>,
) {
  const server = await Server.start(mode, options);
  const client = new MQTTClient({ config: { auto_reconnect: false } });
  try {
    await client.connect(server.uri);
    await use(client);
    await client.disconnect({ drain: 0 });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return await server.stop();
}

for (const over of ["tcp", "ws"] as const) {
  Deno.test(`A sink over ${over} acknowledges and counts publishes of every QoS and size`, async () => {
    const { pubs } = await withServer("sink", { over }, async (client) => {
      for (const size of [0, 200, 20_000, 300_000]) {
        for (const qos of [QOS_0, QOS_1, QOS_2]) await client.publish("a", new Uint8Array(size), { qos });
      }
    });
    assertEquals(pubs, 12);
  });

  for (const qos of [QOS_0, QOS_1, QOS_2]) {
    Deno.test(`A firehose over ${over} sends QoS ${qos} within its window, over and over its topics`, async () => {
      const n = 1000, topics = 3, received: string[] = [];
      const { sent, done } = await withServer("firehose", { n, topics, window: 20, qos, over }, async (client) => {
        await client.subscribe("#", qos);
        while (received.length < n) received.push((await client.deliverMessage()).topic);
        await client.ping(); // the acknowledgements have been read before it
      });
      assertEquals(received, Array.from({ length: n }, (_, i) => topicOf(i, topics)));
      assertEquals([sent, done], [n, qos === 0 ? 0 : n]);
    });
  }
}

Deno.test("A sink that holds publishes acknowledges only those behind them", async () => {
  await withServer("sink", { hold: 2 }, async (client) => {
    const held = [client.publish("a", "1", { qos: 1 }), client.publish("a", "2", { qos: 1 })];
    await client.publish("a", "3", { qos: 1 });
    assertEquals(client.stats.inFlight, 2);
    for (const publish of held) publish.catch(() => {});
  });
});

Deno.test("An echo sends messages back", async () => {
  await withServer("echo", {}, async (client) => {
    await client.subscribe("a", QOS_1);
    await client.publish("a", "once", { qos: 1 });
    assertEquals((await client.deliverMessage()).text(), "once");
  });
});
