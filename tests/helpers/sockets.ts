import { createConnection, createServer, type Server, type Socket } from "node:net";

/**
 * A socket that is read on demand: what nobody asked for stays in the kernel, so that a writer at the other end comes to feel it.
 *
 * It stands on `node:net`, because Deno's own connections cannot send a reset: closing one with unread bytes, the usual trick,
 * sends a reset on some kernels only.
 */
export class ByteSocket {
  readonly #socket: Socket;
  #wake = Promise.withResolvers<void>();
  #wasReset = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    for (const event of ["readable", "end", "close"]) socket.on(event, () => this.#wake.resolve());
    // An error is followed by "close"; without a listener it would end the process.
    socket.on("error", () => this.#wasReset = true);
  }

  /** Whether the connection ended with an error, which is a reset as a rule. */
  get wasReset(): boolean {
    return this.#wasReset;
  }

  /** Waits for the next bytes; `null` at the end of the connection, by FIN or reset. */
  async read(): Promise<Uint8Array | null> {
    for (;;) {
      const chunk: Uint8Array | null = this.#socket.read();
      if (chunk !== null) return chunk;
      if (this.#socket.readableEnded || this.#socket.destroyed) return null;
      await this.#wake.promise;
      this.#wake = Promise.withResolvers();
    }
  }

  /** Resolves when the kernel has the bytes, or when they can't be sent any more. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#socket.writableEnded) throw new Error("Cannot write after FIN");
    if (this.#socket.destroyed) return;
    await new Promise<void>((resolve) => {
      // A socket that is destroyed meanwhile does not always call back.
      this.#socket.once("close", resolve);
      this.#socket.write(bytes, () => {
        this.#socket.off("close", resolve);
        resolve();
      });
    });
  }

  /** Sends FIN after what was written; reading goes on. */
  finish(): void {
    this.#socket.end();
  }

  /** Sends RST: the peer's next read or write fails, also when it has not read everything yet. */
  async reset(): Promise<void> {
    await this.#close(() => this.#socket.resetAndDestroy());
  }

  async close(): Promise<void> {
    await this.#close(() => this.#socket.destroy());
  }

  async #close(how: () => void): Promise<void> {
    if (this.#socket.closed) return;
    const closed = new Promise<void>((resolve) => this.#socket.once("close", () => resolve()));
    if (!this.#socket.destroyed) how();
    await closed;
  }
}

/** Connects to a port of 127.0.0.1 or to a Unix socket. */
export async function connectSocket(target: number | { path: string }): Promise<ByteSocket> {
  const options = typeof target === "number" ? { port: target, host: "127.0.0.1" } : target;
  const socket = createConnection({ ...options, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", () => resolve());
    socket.once("error", reject);
  });
  return new ByteSocket(socket);
}

/** Lets a server of `node:net` listen on 127.0.0.1, and gives the port: any free one unless one is asked for. */
export async function listenOnLoopback(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new TypeError(`Cannot tell the port of ${address}`);
  return address.port;
}

/** Stops listening, and resolves when every accepted connection is closed. */
export async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}

/** Makes a server whose connections are read on demand and stay half open after the other side's FIN. */
export function byteSocketServer(onConnection: (socket: ByteSocket) => void): Server {
  return createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => onConnection(new ByteSocket(socket)));
}
