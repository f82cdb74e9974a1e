import { assert, assertEquals, assertLess } from "@std/assert";
import { type ApplicationMessage, MQTTClient } from "../../mod.ts";
import { event, playLink, QUICK } from "../client/played_broker.ts";
import { brokerTest } from "../helpers/brokers.ts";
import { startFaultProxy } from "../helpers/fault_proxy.ts";

const MIB = 1024 * 1024;

brokerTest("MQTTClient.publish() makes a publisher wait that is faster than the network", {}, async (broker) => {
  await using proxy = await startFaultProxy(broker.ports.mqtt);
  await using client = new MQTTClient({ config: QUICK });
  await client.connect(proxy.uri);
  proxy.stall();
  let published = 0, stopped = false;
  const publishing = (async () => {
    const payload = new Uint8Array(10_000);
    while (!stopped) {
      await client.publish("flood", payload);
      // Now and then the rest of the program has its turn too.
      if (++published % 10 === 0) await new Promise((resolve) => setTimeout(resolve));
    }
  })();
  // The write buffer and the buffers of the kernel are full when no more is published for a while.
  for (let before = -1; before !== published;) {
    before = published;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  assertLess(published * 10_000, 32 * MIB);
  stopped = true;
  proxy.resume();
  await publishing;
});

brokerTest("MQTTClient.publish() holds no copy of what waits behind a slow network", {}, async (broker) => {
  await using proxy = await startFaultProxy(broker.ports.mqtt);
  await using client = new MQTTClient({ config: QUICK });
  await client.connect(proxy.uri);
  proxy.stall();
  const payload = new Uint8Array(MIB);
  const before = Deno.memoryUsage().rss;
  const published = ([0, 1, 2] as const).flatMap((qos) =>
    Array.from({ length: 150 }, () => client.publish("flood", payload, { qos }))
  );
  await new Promise((resolve) => setTimeout(resolve, 300));
  assertLess(Deno.memoryUsage().rss - before, 64 * MIB); // copies would take 450
  assert(client.stats.queuedPublishes > 400);
  proxy.resume();
  await Promise.all(published);
});

Deno.test("MQTTClient keeps the order of publishes over a full window, a full write buffer and a lost link", async () => {
  await using link = await playLink({ ...QUICK, cleansession: false, max_inflight: 2 });
  const { broker, client, connection } = link;
  const settled: string[] = [];
  const note = (message: ApplicationMessage) => settled.push(message.text());
  const published = [1, 0, 1, 0, 1].map((qos, i) =>
    client.publish("t", `${i}`, { qos: qos as 0 | 1 }).then(note, () => {})
  );
  // Two of QoS 1 fill the window; what was called after the third waits behind it.
  await connection.expect(
    "32 06 00 01 74 00 01 30",
    "30 04 00 01 74 31",
    "32 06 00 01 74 00 02 32",
    "30 04 00 01 74 33",
  );
  const lost = event(client, "disconnect");
  await connection.peer.close();
  await lost;
  const next = await broker.welcome("20 02 01 00");
  await next.expect("3a 06 00 01 74 00 01 30", "3a 06 00 01 74 00 02 32");
  await next.send("40 02 00 01");
  await next.expect("32 06 00 01 74 00 03 34");
  await next.send("40 02 00 02", "40 02 00 03");
  await Promise.all(published);
  assertEquals(settled, ["1", "3", "0", "2", "4"]);
});
