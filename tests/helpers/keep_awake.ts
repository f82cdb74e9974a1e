import { connectMessage, readExactly } from "./wire.ts";

/**
 * Keeps a mosquitto busy by pings to its `mqtt` listener.
 *
 * The event loop of 2.0 looks after WebSockets that open, close or have more to be sent only when something else happens, or ten times
 * a second: tests would take long, and 1 MiB to a WebSocket two seconds and more.
 */
export async function keepAwake(port: number): Promise<AsyncDisposable> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  await conn.write(connectMessage());
  await readExactly(conn, 4);
  const ending = new AbortController();
  const pinging = (async () => {
    while (!ending.signal.aborted) {
      await conn.write(Uint8Array.of(0xc0, 0));
      await readExactly(conn, 2);
    }
    conn.close();
  })();
  return {
    async [Symbol.asyncDispose]() {
      ending.abort();
      await pinging;
    },
  };
}
