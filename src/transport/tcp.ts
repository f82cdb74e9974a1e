import type { Endpoint } from "../endpoint.ts";
import { StreamTransport } from "./stream.ts";
import type { OpenOptions, Transport } from "./transport.ts";

/** Opens a TCP connection. */
export async function openTcp(endpoint: Endpoint, { signal }: OpenOptions): Promise<Transport> {
  return new StreamTransport(await connectTcp(endpoint, signal));
}

/** Connects; an attempt that is aborted is over when the promise rejects. */
export async function connectTcp({ hostname, port }: Endpoint, signal: AbortSignal): Promise<Deno.TcpConn> {
  const conn = await Deno.connect({ hostname, port, signal });
  if (signal.aborted) {
    conn.close();
    throw signal.reason;
  }
  // Small packets must not wait for the acknowledgement of the ones before them.
  conn.setNoDelay(true);
  return conn;
}
