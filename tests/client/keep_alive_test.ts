import { assert, assertEquals, assertRejects } from "@std/assert";
import { ConnectionLostError, MQTTClient } from "../../mod.ts";
import { startFaultProxy } from "../helpers/fault_proxy.ts";
import { event, PINGREQ, PINGRESP, playBroker, playLink, QUICK } from "./played_broker.ts";

/** Gives the Keep Alive of a CONNECT, in seconds. */
function keepAlive(connect: Uint8Array): number {
  return connect[10] << 8 | connect[11];
}

Deno.test("MQTTClient.connect() sends keep_alive, 10 by default, 0 to turn it off", async () => {
  for (const [keep_alive, sent] of [[undefined, 10], [0, 0], [1, 1], [65_535, 65_535]] as const) {
    await using link = await playLink({ ...QUICK, keep_alive });
    assertEquals(keepAlive(link.connection.connect), sent);
  }
});

// Each with the silence in seconds after which the ping comes.
const TIMINGS = [
  [{ keep_alive: 1, ping_delay: 0.8 }, 0.2],
  [{ keep_alive: 1, ping_delay: 1 }, 0.5],
  [{ keep_alive: 1, ping_delay: 7 }, 0.5],
] as const;

for (const [config, silence] of TIMINGS) {
  Deno.test(`MQTTClient pings after ${silence} s of silence with ${JSON.stringify(config)}`, async () => {
    await using link = await playLink({ ...QUICK, ...config });
    const { client, connection } = link;
    const start = performance.now();
    await client.publish("t", "x");
    await connection.expect("30 04 0001 't' 'x'", PINGREQ);
    const seconds = (performance.now() - start) / 1000;
    // Timers are whole milliseconds; and a machine may be busy.
    assert(seconds >= silence - 0.002 && seconds < silence + 5, `${seconds} s`);
  });
}

Deno.test("MQTTClient pings by the silence of its writing, however much it reads", async () => {
  await using link = await playLink({ ...QUICK, keep_alive: 1, ping_delay: 0.8 });
  const { client, connection } = link;
  client.onmessage = () => {};
  const talking = setInterval(() => void connection.send("30 03 0001 'a'"), 20);
  await connection.expect(PINGREQ);
  await connection.send(PINGRESP);
  await connection.expect(PINGREQ);
  clearInterval(talking);
});

Deno.test("MQTTClient drops a link on which a ping is unanswered for ping_timeout, and restores it", async () => {
  await using link = await playLink({ ...QUICK, ping_timeout: 0.1 });
  const { client, connection, broker } = link;
  const lost = event(client, "disconnect");
  const start = performance.now();
  const pinging = client.ping();
  await connection.expect(PINGREQ);
  const { error, willReconnect } = await lost;
  assert(performance.now() - start >= 98);
  assert(error instanceof ConnectionLostError && error.message.includes("ping unanswered"), String(error));
  assert(willReconnect);
  const second = await broker.welcome();
  await second.expect(PINGREQ);
  await second.send(PINGRESP);
  await pinging;
});

Deno.test("MQTTClient finds a link that is stalled and restores it when another can be made", async () => {
  await using broker = await playBroker();
  await using proxy = await startFaultProxy(broker.peer.port);
  const client = new MQTTClient({
    config: { ...QUICK, keep_alive: 1, ping_delay: 0.9, ping_timeout: 0.1, connect_timeout: 0.1 },
  });
  const [connection] = await Promise.all([broker.welcome(), client.connect(proxy.uri)]);
  const lost = event(client, "disconnect");
  const published = client.publish("t", "x", { qos: 1 });
  await connection.expect("32 06 0001 't' 0001 'x'");
  proxy.stall();
  await lost;
  const restored = event(client, "connect");
  proxy.resume();
  const answered = (async () => {
    for (;;) {
      // Attempts that were stalled come too, and end without a packet.
      const next = await broker.peer.accept();
      try {
        await next.readPacket();
        await next.write([0x20, 2, 0, 0]);
        if ((await next.readPacket())[0] === 0x32) return await next.write([0x40, 2, 0, 1]);
      } catch {
        await next.close();
      }
    }
  })();
  await Promise.all([restored, answered, published]);
  await Promise.all([client.disconnect({ drain: 0 }), proxy.cut()]);
});

Deno.test("MQTTClient without auto_reconnect rejects everything when a ping is unanswered", async () => {
  await using link = await playLink({ auto_reconnect: false, ping_timeout: 0.05 });
  const { client } = link;
  await assertRejects(() => client.ping(), ConnectionLostError, "unanswered");
});
