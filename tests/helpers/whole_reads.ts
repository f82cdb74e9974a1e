import { Buffer } from "node:buffer";
import type { Readable } from "node:stream";

/**
 * Lets `read()` of a stream give everything that has come, as it did before Node.js 26. Since then, and so in Deno, it gives one chunk,
 * which aedes does not know: it leaves a long packet unread, or it reads the next chunk while its parser hands out an acknowledgement of
 * the one before; the parser then loses its place, and aedes closes the connection.
 */
export function readWhole(stream: Readable): void {
  const read = stream.read.bind(stream);
  stream.read = (size?: number | null) => {
    if (typeof size === "number") return read(size);
    const chunks: Uint8Array[] = [];
    for (let chunk = read(); chunk !== null; chunk = read()) chunks.push(chunk);
    return chunks.length === 0 ? null : Buffer.concat(chunks);
  };
}
