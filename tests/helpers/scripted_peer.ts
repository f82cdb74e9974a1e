import type { Server } from "node:net";
import { type ByteSocket, byteSocketServer, closeServer, listenOnLoopback } from "./sockets.ts";

/** Starts a server on 127.0.0.1 that does what a test tells it to, byte by byte. */
export async function startScriptedPeer(): Promise<ScriptedPeer> {
  const connections: PeerConnection[] = [];
  const arrivals: PromiseWithResolvers<PeerConnection>[] = [];
  const arrival = (index: number) => arrivals[index] ??= Promise.withResolvers();
  const server = byteSocketServer((socket) => {
    const connection = new PeerConnection(socket);
    arrival(connections.push(connection) - 1).resolve(connection);
  });
  const port = await listenOnLoopback(server);
  return new ScriptedPeer(server, port, connections, (index) => arrival(index).promise);
}

export class ScriptedPeer implements AsyncDisposable {
  readonly #server: Server;
  readonly #connections: readonly PeerConnection[];
  readonly #arrival: (index: number) => Promise<PeerConnection>;
  #accepted = 0;
  readonly port: number;
  readonly uri: string;

  constructor(
    server: Server,
    port: number,
    connections: readonly PeerConnection[],
    arrival: (index: number) => Promise<PeerConnection>,
  ) {
    this.#server = server;
    this.#connections = connections;
    this.#arrival = arrival;
    this.port = port;
    this.uri = `mqtt://127.0.0.1:${port}`;
  }

  /** Waits for the next connection, in the order in which they were made. */
  accept(): Promise<PeerConnection> {
    return this.#arrival(this.#accepted++);
  }

  /** How many connections were made so far, those that were not accepted yet included. */
  get connectionCount(): number {
    return this.#connections.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = closeServer(this.#server);
    await Promise.all(this.#connections.map((connection) => connection.close()));
    await closed;
  }
}

/** One connection of a {@linkcode ScriptedPeer}. Bytes are taken from the network only as they are asked for. */
export class PeerConnection {
  readonly #socket: ByteSocket;
  readonly #chunks: Uint8Array[] = [];
  #unread = 0;

  constructor(socket: ByteSocket) {
    this.#socket = socket;
  }

  /** Reads exactly `count` bytes. Rejects when the connection ends before, and takes nothing then. */
  async read(count: number): Promise<Uint8Array> {
    while (this.#unread < count) {
      if (!await this.#readMore()) throw new Error(`The connection ended after ${this.#unread} of ${count} bytes`);
    }
    return this.#take(count);
  }

  /** Reads the bytes of one whole MQTT packet: fixed header, remaining length, and what follows. */
  async readPacket(): Promise<Uint8Array> {
    const header = [...await this.read(2)];
    while (header.at(-1)! >= 0x80) {
      if (header.length === 5) throw new Error(`Malformed remaining length: ${header.slice(1)}`);
      header.push(...await this.read(1));
    }
    const remainingLength = header.slice(1).reduceRight((length, byte) => length * 128 + (byte & 0x7f), 0);
    return Uint8Array.from([...header, ...await this.read(remainingLength)]);
  }

  /** Waits until the client closes its side, by FIN or reset, and gives the bytes that came before. */
  async readToEnd(): Promise<Uint8Array> {
    while (await this.#readMore());
    return this.#take(this.#unread);
  }

  /** Whether the client ended the connection with a reset. */
  get wasReset(): boolean {
    return this.#socket.wasReset;
  }

  /** Resolves when the kernel has the bytes; the connection may be gone by then. */
  async write(bytes: Uint8Array | readonly number[]): Promise<void> {
    await this.#socket.write(Uint8Array.from(bytes));
  }

  /** Says that nothing more will be written; what the client sends can still be read. */
  closeFin(): void {
    this.#socket.finish();
  }

  /** Breaks the connection: the client meets "connection reset by peer". */
  async closeRst(): Promise<void> {
    await this.#socket.reset();
  }

  async close(): Promise<void> {
    await this.#socket.close();
  }

  async #readMore(): Promise<boolean> {
    const chunk = await this.#socket.read();
    if (chunk === null) return false;
    this.#chunks.push(chunk);
    this.#unread += chunk.length;
    return true;
  }

  #take(count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    for (let taken = 0; taken < count;) {
      const chunk = this.#chunks[0];
      const part = chunk.subarray(0, count - taken);
      bytes.set(part, taken);
      taken += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#unread -= count;
    return bytes;
  }
}
