import { assertEquals, assertMatch } from "@std/assert";
import { brokerTest } from "../helpers/brokers.ts";
import { runChild } from "../helpers/child.ts";
import { playBroker } from "./played_broker.ts";

const CONNECT = "tests/client/scripts/connect.ts";
const DROP_PROMISES = "tests/client/scripts/drop_promises.ts";

/** Gives the flags that an error message tells to run with. */
function namedFlags(message: string): string[] {
  return /run with ((?:--allow-\S+\s?)+)/.exec(message)?.[1].trim().split(" ") ?? [];
}

brokerTest(
  "MQTTClient.connect() names the permission that it lacks for TCP, and needs no other",
  {},
  async (broker) => {
    const uri = broker.uris.mqtt;
    const denied = await runChild(CONNECT, [], uri);
    assertEquals(denied.code, 1);
    assertEquals(namedFlags(denied.stdout), [`--allow-net=127.0.0.1:${broker.ports.mqtt}`]);
    assertEquals(denied.stdout.trim(), `Cannot connect to ${uri}: run with --allow-net=127.0.0.1:${broker.ports.mqtt}`);
    assertEquals(denied.stderr, "");
    assertEquals(await runChild(CONNECT, namedFlags(denied.stdout), uri), { code: 0, stdout: "0\n", stderr: "" });
  },
);

brokerTest("MQTTClient.connect() names the permission that it lacks for a Unix socket, and needs no other", {
  listeners: ["unix"],
}, async (broker) => {
  const uri = broker.uris.unix;
  const denied = await runChild(CONNECT, [], uri);
  assertEquals(denied.code, 1);
  assertMatch(denied.stdout, /run with --allow-/);
  assertEquals(await runChild(CONNECT, namedFlags(denied.stdout), uri), { code: 0, stdout: "0\n", stderr: "" });
});

Deno.test("MQTTClient.connect() names the permission for the host as the URI writes it", async () => {
  for (const [uri, flag] of [["mqtt://localhost", "localhost:1883"], ["mqtt://[::1]:1", "[::1]:1"]] as const) {
    const { code, stdout } = await runChild(CONNECT, [], uri);
    assertEquals([code, namedFlags(stdout)], [1, [`--allow-net=${flag}`]]);
  }
});

Deno.test("MQTTClient leaves no unhandled rejection, whatever promises are dropped and whatever happens", async () => {
  await using broker = await playBroker();
  const running = runChild(DROP_PROMISES, ["--allow-net"], broker.uri);
  const { peer } = await broker.welcome();
  await peer.readPacket();
  await peer.close();
  assertEquals(await running, { code: 0, stdout: "done\n", stderr: "" });
});
