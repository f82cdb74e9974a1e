import type { Endpoint } from "../endpoint.ts";
import { StreamTransport } from "./stream.ts";
import type { OpenOptions, Transport } from "./transport.ts";

/** Opens a TCP connection. */
export async function openTcp(endpoint: Endpoint, { signal }: OpenOptions): Promise<Transport> {
  return new StreamTransport(await connectTcp(endpoint, signal));
}

/** Connects; an attempt that is aborted is over when the promise rejects. */
export async function connectTcp({ hostname, port }: Endpoint, signal: AbortSignal): Promise<Deno.TcpConn> {
  signal.throwIfAborted();
  const cancel = AbortSignal.any([signal]);
  // Deno asks this when it has connected, and forgets the connection; without any signal a silent host would be tried for minutes.
  cancel.throwIfAborted = () => {};
  const conn = await Deno.connect({ hostname, port, signal: cancel }).catch((error) => {
    throw signal.aborted ? signal.reason : error;
  });
  if (signal.aborted) {
    conn.close();
    throw signal.reason;
  }
  // Small packets must not wait for the acknowledgement of the ones before them.
  conn.setNoDelay(true);
  return conn;
}
