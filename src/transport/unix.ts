import type { Endpoint } from "../endpoint.ts";
import { abortable } from "./abortable.ts";
import { StreamTransport } from "./stream.ts";
import type { OpenOptions, Transport } from "./transport.ts";

/** Opens a connection to a Unix domain socket. */
export async function openUnix({ path }: Endpoint, { signal }: OpenOptions): Promise<Transport> {
  return new StreamTransport(await abortable(Deno.connect({ transport: "unix", path }), signal));
}
