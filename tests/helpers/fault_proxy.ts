import { abortable, delay } from "@std/async";
import type { Server } from "node:net";
import { type ByteSocket, byteSocketServer, closeServer, connectSocket, listenOnLoopback } from "./sockets.ts";

/** How a connection is broken: FIN, the orderly end, after what was handed on; or RST, which may overtake it. */
export type Cut = "fin" | "rst";

/** A port of 127.0.0.1, or a Unix socket. */
export type Target = number | { path: string };

/** Starts a proxy on 127.0.0.1 that hands bytes on between clients and the target, and fails as it is told to. */
export async function startFaultProxy(target: Target): Promise<FaultProxy> {
  const proxy = new FaultProxy(target);
  await proxy.allow();
  return proxy;
}

export class FaultProxy implements AsyncDisposable {
  readonly #target: Target;
  readonly #connections = new Set<ProxiedConnection>();
  readonly #closing: Promise<void>[] = [];
  #server: Server | undefined;
  #port = 0;
  #connectionCount = 0;

  readonly toBroker: Lane = new Lane();
  readonly toClient: Lane = new Lane();
  /** Whether connections made from now on are accepted, and then neither read nor answered, until they are cut. */
  blackHole = false;

  constructor(target: Target) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  get uri(): string {
    return `mqtt://127.0.0.1:${this.#port}`;
  }

  /** The open connections, oldest first. */
  get connections(): ProxiedConnection[] {
    return [...this.#connections];
  }

  /** How many connections were accepted so far. */
  get connectionCount(): number {
    return this.#connectionCount;
  }

  /** Cuts every open connection. */
  async cut(how: Cut = "fin"): Promise<void> {
    await Promise.all(this.connections.map((connection) => connection.cut(how)));
  }

  stall(): void {
    this.toBroker.stall();
    this.toClient.stall();
  }

  resume(): void {
    this.toBroker.resume();
    this.toClient.resume();
  }

  /** Stops listening: new connections are refused, those there are go on. */
  refuse(): void {
    if (this.#server === undefined) return;
    this.#closing.push(closeServer(this.#server));
    this.#server = undefined;
  }

  /** Listens again, on the same port. */
  async allow(): Promise<void> {
    if (this.#server !== undefined) return;
    this.#server = byteSocketServer((client) => this.#accept(client));
    this.#port = await listenOnLoopback(this.#server, this.#port);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.refuse();
    await Promise.all(this.connections.map((connection) => connection.close()));
    await Promise.all(this.#closing);
  }

  #accept(client: ByteSocket): void {
    this.#connectionCount++;
    const connection = new ProxiedConnection(client);
    this.#connections.add(connection);
    const target = this.blackHole ? undefined : this.#target;
    connection.run(target, this.toBroker, this.toClient).then(() => this.#connections.delete(connection));
  }
}

/** What one direction does to the bytes of all connections, those made later included. */
export class Lane {
  #stalled = false;
  #flowing = Promise.withResolvers<void>();
  #cutAt: { total: number; how: Cut } | undefined;
  #bytes = 0;

  /** The most bytes that are written at once; 1 gives every byte a write of its own. */
  chunkSize = Infinity;
  /** How long bytes are held back, in seconds. What arrives meanwhile is held back after them. */
  delay = 0;
  bytesPerSecond = Infinity;

  constructor() {
    this.#flowing.resolve();
  }

  /** How many bytes were handed on so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Hands nothing on and reads nothing, so that the sender comes to feel it. */
  stall(): void {
    if (this.#stalled) return;
    this.#stalled = true;
    this.#flowing = Promise.withResolvers();
  }

  resume(): void {
    this.#stalled = false;
    this.#flowing.resolve();
  }

  /** Cuts the connection that carries the `count`th byte from now, right after that byte. */
  cutAfter(count: number, how: Cut = "fin"): void {
    this.#cutAt = { total: this.#bytes + count, how };
  }

  /** Hands bytes on until the end of `from`. Once the signal is aborted they are read and dropped. */
  async carry(from: ByteSocket, to: ByteSocket, signal: AbortSignal, cut: (how: Cut) => void): Promise<void> {
    for (;;) {
      await orAborted(this.#flowing.promise, signal);
      const chunk = await from.read();
      if (chunk === null) return;
      if (this.delay > 0) await pause(this.delay, signal);
      for (let at = 0; at < chunk.length;) {
        await orAborted(this.#flowing.promise, signal);
        if (signal.aborted) break;
        const part = chunk.subarray(at, at + this.#nextSize());
        await to.write(part);
        at += part.length;
        this.#count(part.length, cut);
        if (this.bytesPerSecond !== Infinity) await pause(part.length / this.bytesPerSecond, signal);
      }
    }
  }

  #nextSize(): number {
    const untilCut = this.#cutAt === undefined ? Infinity : this.#cutAt.total - this.#bytes;
    const perHundredth = Math.max(1, Math.floor(this.bytesPerSecond / 100));
    return Math.min(this.chunkSize, untilCut, perHundredth);
  }

  #count(bytes: number, cut: (how: Cut) => void): void {
    this.#bytes += bytes;
    if (this.#cutAt === undefined || this.#bytes < this.#cutAt.total) return;
    const { how } = this.#cutAt;
    this.#cutAt = undefined;
    cut(how);
  }
}

/** One connection through a {@linkcode FaultProxy}. */
export class ProxiedConnection {
  readonly #client: ByteSocket;
  readonly #dropping = new AbortController();
  #broker: ByteSocket | undefined;
  #finished: Promise<void> = Promise.resolve();

  constructor(client: ByteSocket) {
    this.#client = client;
  }

  /** Breaks the connection on both sides. A FIN leaves it to the client and the broker to close theirs. */
  async cut(how: Cut = "fin"): Promise<void> {
    this.#dropping.abort();
    for (const side of [this.#client, this.#broker]) {
      if (how === "rst") await side?.reset();
      else side?.finish();
    }
  }

  async close(): Promise<void> {
    this.#dropping.abort();
    await Promise.all([this.#client.close(), this.#broker?.close()]);
    await this.#finished;
  }

  /** Resolves when both sides are closed. Without a target, nothing happens before the connection is cut. */
  run(target: Target | undefined, toBroker: Lane, toClient: Lane): Promise<void> {
    this.#finished = target === undefined ? this.#swallow() : this.#connect(target, toBroker, toClient);
    return this.#finished;
  }

  async #connect(target: Target, toBroker: Lane, toClient: Lane): Promise<void> {
    try {
      this.#broker = await connectSocket(target);
    } catch {
      await this.#client.reset();
      return;
    }
    if (this.#dropping.signal.aborted) {
      await this.#broker.close();
      await this.#drain();
      return;
    }
    await Promise.all([
      this.#carry(toBroker, this.#client, this.#broker),
      this.#carry(toClient, this.#broker, this.#client),
    ]);
    await Promise.all([this.#client.close(), this.#broker.close()]);
  }

  async #carry(lane: Lane, from: ByteSocket, to: ByteSocket): Promise<void> {
    await lane.carry(from, to, this.#dropping.signal, (how) => void this.cut(how));
    if (from.wasReset) await to.reset();
    else to.finish();
  }

  async #swallow(): Promise<void> {
    const { signal } = this.#dropping;
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    await this.#drain();
  }

  async #drain(): Promise<void> {
    while (await this.#client.read() !== null);
    await this.#client.close();
  }
}

async function pause(seconds: number, signal: AbortSignal): Promise<void> {
  await orAborted(delay(seconds * 1000, { signal }), signal);
}

/** Waits for the promise or the signal, whichever comes first. */
async function orAborted(promise: Promise<void>, signal: AbortSignal): Promise<void> {
  try {
    await abortable(promise, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
