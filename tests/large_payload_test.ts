import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { brokerTest } from "./helpers/brokers.ts";
import { bundle } from "./helpers/bundle.ts";
import { certificatesOfFile } from "./helpers/file_certificates.ts";
import { startTlsRelay, startWebSocketRelay } from "./helpers/relay.ts";

const MIB = 1024 * 1024;
const SIZE = 64 * MIB;

const folder = await Deno.makeTempDir({ prefix: "large-payload-" });
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const client = join(folder, "client.js");
await bundle("tests/fixtures/large_payload_client.ts", client);
const { certificates } = await certificatesOfFile();

/** Sends a payload there and back in a process of its own. Gives how much memory that took beside the payload sent, in bytes. */
async function exchange(uri: string, caFile = ""): Promise<number> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-config", client, uri, String(SIZE), caFile],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  assertEquals(decoder.decode(stderr), "");
  const { same, taken } = JSON.parse(decoder.decode(stdout));
  assertEquals(same, true);
  return taken;
}

brokerTest("MQTTClient sends and receives 64 MiB over every transport, in memory that is bounded", {
  listeners: ["mqtt", "mqtts", "unix"],
  certificates,
}, async ({ uris, ports, certificates: { ca, server } }) => {
  // Deno's WebSocket takes no message of 64 MiB, and mosquitto makes one of each packet.
  await using relay = startWebSocketRelay(ports.mqtt);
  await using secure = await startTlsRelay(relay.port, server);
  const streams = [await exchange(uris.mqtt), await exchange(uris.unix), await exchange(uris.mqtts, ca)];
  const webSockets = [
    await exchange(`ws://127.0.0.1:${relay.port}/`),
    await exchange(`wss://127.0.0.1:${secure.port}/`, ca),
  ];
  // The payload received, and what it grows from and through.
  for (const taken of streams) assert(taken < 2 * SIZE, `${taken / MIB} MiB were taken`);
  // And what arrives while it does, since a WebSocket cannot be told to wait.
  for (const taken of webSockets) assert(taken < 3 * SIZE, `${taken / MIB} MiB were taken`);
});
