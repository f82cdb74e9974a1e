import { assertEquals } from "@std/assert";
import { startEmbeddedBroker } from "./embedded_broker.ts";
import { connectMessage, readExactly } from "./wire.ts";

Deno.test("startEmbeddedBroker() answers CONNECT with CONNACK", async () => {
  await using broker = await startEmbeddedBroker();
  using client = await Deno.connect({ hostname: "127.0.0.1", port: broker.port });
  await client.write(connectMessage());
  assertEquals(await readExactly(client, 4), Uint8Array.of(0x20, 2, 0, 0));
});

Deno.test("startEmbeddedBroker() ends with clients still connected, or gone with a reset", async () => {
  const broker = await startEmbeddedBroker();
  using silent = await Deno.connect({ hostname: "127.0.0.1", port: broker.port });
  using client = await Deno.connect({ hostname: "127.0.0.1", port: broker.port });
  await client.write(connectMessage());
  await readExactly(client, 4);
  await broker[Symbol.asyncDispose]();
  assertEquals(await client.read(new Uint8Array(1)), null);
  assertEquals(await silent.read(new Uint8Array(1)), null);
});

Deno.test("startEmbeddedBroker() gives each broker a port of its own", async () => {
  await using first = await startEmbeddedBroker();
  await using second = await startEmbeddedBroker();
  assertEquals(new Set([first.uri, second.uri]).size, 2);
});
