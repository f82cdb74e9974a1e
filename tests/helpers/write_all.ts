import type { Transport } from "../../src/transport/transport.ts";

/** Writes all bytes, whether the transport writes all it is given or what it can. */
export async function writeAll(transport: Transport, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await transport.write(bytes.subarray(at)) ?? bytes.length;
}
