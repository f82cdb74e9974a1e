// What every transport does is tested in stream_test.ts.
import { assertEquals, assertRejects } from "@std/assert";
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
