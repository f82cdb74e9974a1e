import type { Transport } from "./transport.ts";

const SMALLEST_BUFFER = 1024;
const LARGEST_BUFFER = 64 * 1024;

/** A Deno stream connection (TCP, TLS, Unix socket) as a transport. */
export class StreamTransport implements Transport {
  readonly #conn: Deno.Conn;
  /** Grows with what arrives, since most connections are quiet. */
  #buffer = new Uint8Array(SMALLEST_BUFFER);
  #closed = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  async read(room?: Uint8Array): Promise<Uint8Array | null> {
    if (this.#closed) return null;
    try {
      const buffer = room ?? this.#buffer;
      const length = await this.#conn.read(buffer);
      if (length === null || this.#closed) return null;
      if (length === this.#buffer.length && length < LARGEST_BUFFER) this.#buffer = new Uint8Array(4 * length);
      return buffer.subarray(0, length);
    } catch (error) {
      if (this.#closed) return null;
      throw error;
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    return this.#conn.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#conn.closeWrite();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#conn.close();
  }
}
