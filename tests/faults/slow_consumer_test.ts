import { assertEquals, assertLess } from "@std/assert";
import { runChild } from "../helpers/child.ts";

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
  // In a process of its own: how far other tests have grown the heap is nothing of the client's.
  const args = [firehose.uri, String(MESSAGES)];
  const { stdout, stderr } = await runChild("tests/fixtures/slow_consumer.ts", ["--allow-net=127.0.0.1"], ...args);
  assertEquals(stderr, "");
  const { grown, ...counts } = JSON.parse(stdout);
  assertEquals(counts, { taken: MESSAGES, reconnects: 0, queuedMessages: 0 });
  assertLess(grown, 64 * MIB);
});
