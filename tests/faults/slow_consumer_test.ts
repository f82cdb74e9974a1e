import { assertEquals, assertLess } from "@std/assert";
import { delay } from "@std/async";
import { MQTTClient } from "../../mod.ts";

const MESSAGES = 500_000;
const MIB = 1024 * 1024;

/** Starts a process that sends messages as fast as they are taken, without waiting for anything. */
async function startFirehose(): Promise<{ uri: string } & AsyncDisposable> {
  const server = new URL("../../bench/load_server.ts", import.meta.url);
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-config",
      "--allow-net=127.0.0.1",
      server.pathname,
      "firehose",
      `--n=${MESSAGES}`,
      "--size=1024",
    ],
    stdout: "piped",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await lines.read();
  return {
    uri: `mqtt://127.0.0.1:${JSON.parse(value.split("\n")[0]).listening}`,
    async [Symbol.asyncDispose]() {
      process.kill();
      await lines.cancel();
      await process.status;
    },
  };
}

Deno.test("MQTTClient loses nothing and holds little when its messages are taken slowly", async () => {
  await using firehose = await startFirehose();
  await using client = new MQTTClient({ config: { keep_alive: 1, ping_delay: 0.5, ping_timeout: 0.5 } });
  await client.connect(firehose.uri);
  const idle = Deno.memoryUsage().rss;
  let peak = 0;
  await client.subscribe("#");
  const end = performance.now() + 2000;
  let taken = 0;
  for await (const message of client) {
    if (message.payload.length !== 1024) throw new Error(`payload of ${message.payload.length} bytes`);
    taken++;
    // 1,000 a second for a while, then as fast as they come.
    if (taken % 100 === 0 && performance.now() < end) await delay(100);
    if (taken % 1000 === 0) peak = Math.max(peak, Deno.memoryUsage().rss);
    if (taken === MESSAGES) break;
  }
  assertEquals(taken, MESSAGES);
  assertEquals(client.stats.reconnects, 0);
  assertEquals(client.stats.queuedMessages, 0);
  assertLess(peak - idle, 64 * MIB);
});
