import type { BenchClient, Connect } from "./client.ts";
import { encodePublish, TOPIC } from "./load_server.ts";

/** A connection without a client. */
export interface RawClient extends BenchClient {
  /** Writes `n` QoS 0 messages, encoded beforehand, in chunks of 64 KiB. */
  publishAll(n: number, size: number): Promise<void>;
}

/**
 * No client: bytes encoded beforehand are written, and what comes is counted, so that the limit of the runtime's sockets shows.
 * Only QoS 0, and the one QoS 1 message that ends a run.
 */
export const connect: Connect = async ({ uri }): Promise<RawClient> => {
  const { hostname, port } = new URL(uri);
  const conn = await Deno.connect({ hostname, port: Number(port) });
  conn.setNoDelay(true);
  const buffer = new Uint8Array(64 * 1024);
  let onBytes = (_bytes: Uint8Array): void => {};
  const write = async (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
  };
  const answer = (length: number) =>
    new Promise<void>((resolve) => {
      onBytes = (bytes) => {
        if ((length -= bytes.length) <= 0) resolve();
      };
    });
  (async () => {
    try {
      for (let length = await conn.read(buffer); length !== null; length = await conn.read(buffer)) {
        onBytes(buffer.subarray(0, length));
      }
    } catch {
      // Closed.
    }
  })();
  const connack = answer(4);
  await write(Uint8Array.of(0x10, 15, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 3, 114, 97, 119));
  await connack;
  return {
    async publish(topic, payload, qos) {
      const packet = encodePublish(topic, qos, 1, payload.length);
      if (qos === 0) return await write(packet);
      const puback = answer(4);
      await write(packet);
      await puback;
    },
    async publishAll(n, size) {
      const packet = encodePublish(TOPIC, 0, 0, size);
      const count = Math.max(1, Math.floor(64 * 1024 / packet.length));
      const chunk = new Uint8Array(count * packet.length);
      for (let i = 0; i < count; i++) chunk.set(packet, i * packet.length);
      for (; n > 0; n -= count) await write(chunk.subarray(0, Math.min(n, count) * packet.length));
    },
    async subscribe(filter, qos, onMessage) {
      let suback = 5, size = 0, left = 0;
      onBytes = (bytes) => {
        if (suback > 0) { // which arrives whole, maybe with messages behind it
          bytes = bytes.subarray(suback);
          suback = 0;
        }
        if (bytes.length === 0) return;
        if (size === 0) size = packetSize(bytes);
        for (left += bytes.length; left >= size; left -= size) onMessage(TOPIC, bytes);
      };
      const name = new TextEncoder().encode(filter);
      await write(Uint8Array.of(0x82, 5 + name.length, 0, 1, 0, name.length, ...name, qos));
    },
    async end() {
      await write(Uint8Array.of(0xe0, 0));
      conn.close();
    },
  };
};

function packetSize(bytes: Uint8Array): number {
  let rest = 0, at = 1;
  do rest |= (bytes[at] & 127) << 7 * (at - 1); while (bytes[at++] > 127);
  return at + rest;
}
