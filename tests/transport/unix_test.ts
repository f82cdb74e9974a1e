// What every transport does is tested in stream_test.ts.
import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { join } from "node:path";
import { parseEndpoint } from "../../src/endpoint.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { openUnix } from "../../src/transport/unix.ts";

Deno.test("openUnix() gives up with the signal's reason, and closes a connection that comes too late", async () => {
  await withListener(async (listener) => {
    const reason = new RangeError("enough");
    const controller = new AbortController();
    const opening = open(listener, controller.signal);
    controller.abort(reason);
    assertStrictEquals(await assertRejects(() => opening), reason);
    using conn = await listener.accept();
    assertEquals(await conn.read(new Uint8Array(1)), null);
  });
});

Deno.test("openUnix() leaves the connection alone when the signal aborts later", async () => {
  await withListener(async (listener) => {
    const controller = new AbortController();
    const transport = await open(listener, controller.signal);
    controller.abort();
    using conn = await listener.accept();
    await transport.write(Uint8Array.of(1));
    assertEquals(await conn.read(new Uint8Array(8)), 1);
    transport.close();
  });
});

function open({ addr }: Deno.UnixListener, signal: AbortSignal): Promise<Transport> {
  return openUnix(parseEndpoint(`unix:${addr.path}`), { signal });
}

async function withListener(work: (listener: Deno.UnixListener) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "unix-" });
  try {
    using listener = Deno.listen({ transport: "unix", path: join(folder, "peer.sock") });
    await work(listener);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
