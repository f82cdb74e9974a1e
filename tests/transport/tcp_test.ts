// What every transport does is tested in stream_test.ts.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { parseEndpoint } from "../../src/endpoint.ts";
import { openTcp } from "../../src/transport/tcp.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { startScriptedPeer } from "../helpers/scripted_peer.ts";

Deno.test({
  name: "openTcp() connects over IPv6",
  ignore: !hasIpv6(),
  fn: async () => {
    using listener = Deno.listen({ hostname: "::1", port: 0 });
    const accepting = listener.accept();
    const transport = await open(`mqtt://[::1]:${listener.addr.port}`);
    using conn = await accepting;
    await conn.write(Uint8Array.of(1));
    assertEquals(await transport.read(), Uint8Array.of(1));
    transport.close();
  },
});

Deno.test("openTcp() gives a transport whose read() rejects when the peer resets the connection", async () => {
  await using server = await startScriptedPeer();
  const transport = await open(server.uri);
  const peer = await server.accept();
  const reading = transport.read();
  await peer.closeRst();
  await assertRejects(() => reading, Deno.errors.ConnectionReset);
  transport.close();
});

Deno.test("openTcp() leaves the connection alone when the signal aborts later", async () => {
  await using server = await startScriptedPeer();
  const controller = new AbortController();
  const transport = await open(server.uri, controller.signal);
  controller.abort();
  await transport.write(Uint8Array.of(1));
  assertEquals(await (await server.accept()).read(1), Uint8Array.of(1));
  transport.close();
});

Deno.test("openTcp() closes a connection that is there at the moment at which the signal aborts", async () => {
  // It takes no connection, so that the event loop has nothing else to do.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  for (let i = 0; i < 10; i++) {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new RangeError("enough")), 0);
    const opening = open(`mqtt://127.0.0.1:${listener.addr.port}`, controller.signal);
    keepBusy(5); // In the turn after this it is connected, mostly, and the timer is due before anybody is told.
    await assertRejects(() => opening, RangeError, "enough");
  }
});

Deno.test({
  name: "openTcp() gives up a host that does not answer when the signal aborts, and leaves nothing under way",
  ignore: Deno.build.os !== "linux", // whose full listeners do not answer
  fn: async () => {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0, tcpBacklog: 1 });
    const controller = new AbortController();
    const { signal } = controller;
    const opened: Transport[] = [];
    const openings = Array.from({ length: 10 }, async () => {
      opened.push(await open(`mqtt://127.0.0.1:${listener.addr.port}`, signal));
    });
    await Promise.race(openings);
    controller.abort(new RangeError("enough"));
    const outcomes = await Promise.allSettled(openings);
    assert(
      opened.length < 10 &&
        outcomes.every((outcome) => outcome.status === "fulfilled" || outcome.reason === signal.reason),
    );
    for (const transport of opened) transport.close();
  },
});

function keepBusy(milliseconds: number): void {
  for (const end = performance.now() + milliseconds; performance.now() < end;);
}

function open(uri: string, signal = new AbortController().signal): Promise<Transport> {
  return openTcp(parseEndpoint(uri), { signal });
}

/** Not every machine does. */
function hasIpv6(): boolean {
  try {
    Deno.listen({ hostname: "::1", port: 0 }).close();
    return true;
  } catch {
    return false;
  }
}
