import { StreamTransport } from "../../src/transport/stream.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { WebSocketTransport } from "../../src/transport/websocket.ts";
import type { KeyPair } from "./certificates.ts";
import { writeAll } from "./write_all.ts";

/** Starts a server for TLS on 127.0.0.1 that hands bytes on to and from a port that speaks without. */
export async function startTlsRelay(port: number, { certificate, key }: KeyPair): Promise<Relay> {
  const [cert, privateKey] = await Promise.all([Deno.readTextFile(certificate), Deno.readTextFile(key)]);
  const listener = Deno.listenTls({ hostname: "127.0.0.1", port: 0, cert, key: privateKey });
  return new Relay(listener, () => Promise.resolve(port));
}

/** Starts a WebSocket server on 127.0.0.1 that hands bytes on to and from a port that speaks without, in messages as they come. */
export function startWebSocketRelay(port: number): WebSocketRelay {
  return new WebSocketRelay(port);
}

export class WebSocketRelay implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #connections: Promise<unknown>[] = [];

  constructor(port: number) {
    this.#server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "mqtt" });
      this.#connections.push(joinWebSocket(new WebSocketTransport(socket, () => {}), port));
      return response;
    });
  }

  get port(): number {
    return this.#server.addr.port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
    await Promise.all(this.#connections);
  }
}

async function joinWebSocket(outer: WebSocketTransport, port: number): Promise<void> {
  await outer.opened;
  const inner = new StreamTransport(await Deno.connect({ hostname: "127.0.0.1", port }));
  await Promise.all([carryChunks(outer, inner), carryChunks(inner, outer)]);
  inner.close();
  outer.close();
}

async function carryChunks(from: Transport, to: Transport): Promise<void> {
  for (let chunk = await from.read(); chunk !== null; chunk = await from.read()) await writeAll(to, chunk);
  await to.closeWrite?.();
}

/** Starts an HTTP proxy on 127.0.0.1. Whatever tunnel it is asked for, it gives one to `port`; without that it refuses. */
export function startHttpProxy(port?: number): HttpProxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return new HttpProxy(listener, port);
}

/** Says for a new connection which port it is to be joined with, `undefined` to have it closed. */
type Greet = (conn: Deno.Conn) => Promise<number | undefined>;

/** A server that joins its connections with others to ports of 127.0.0.1. */
export class Relay implements AsyncDisposable {
  readonly #listener: Deno.TcpListener | Deno.TlsListener;
  readonly #greet: Greet;
  readonly #accepting: Promise<void>;
  readonly #open = new Set<Deno.Conn>();
  readonly #connections: Promise<void>[] = [];

  constructor(listener: Deno.TcpListener | Deno.TlsListener, greet: Greet) {
    this.#listener = listener;
    this.#greet = greet;
    this.#accepting = this.#accept();
  }

  get port(): number {
    return this.#listener.addr.port;
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) this.#connections.push(this.#join(conn));
  }

  async #join(outer: Deno.Conn): Promise<void> {
    this.#open.add(outer);
    const port = await this.#greet(outer);
    if (port === undefined) return this.#close(outer);
    const inner = await Deno.connect({ hostname: "127.0.0.1", port });
    this.#open.add(inner);
    const end = () => [outer, inner].forEach((conn) => this.#close(conn));
    await Promise.all([carry(outer, inner).catch(end), carry(inner, outer).catch(end)]);
    end();
  }

  #close(conn: Deno.Conn): void {
    if (this.#open.delete(conn)) conn.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#accepting;
    for (const conn of this.#open) this.#close(conn);
    await Promise.all(this.#connections);
  }
}

export class HttpProxy extends Relay {
  /** The first lines of the requests so far. */
  readonly requests: string[];

  constructor(listener: Deno.TcpListener, port: number | undefined) {
    const requests: string[] = [];
    super(listener, async (conn) => {
      requests.push(await readRequest(conn));
      const answer = port === undefined ? "403 Forbidden" : "200 Connection established";
      await conn.write(new TextEncoder().encode(`HTTP/1.1 ${answer}\r\n\r\n`));
      return port;
    });
    this.requests = requests;
  }

  get uri(): string {
    return `http://127.0.0.1:${this.port}`;
  }
}

/** Reads a request without a body. Gives its first line. */
async function readRequest(conn: Deno.Conn): Promise<string> {
  const byte = new Uint8Array(1);
  let text = "";
  while (!text.endsWith("\r\n\r\n")) {
    if (await conn.read(byte) === null) break;
    text += String.fromCharCode(byte[0]);
  }
  return text.split("\r\n", 1)[0];
}

/** Hands bytes on until the end, and then that. */
async function carry(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(64 * 1024);
  for (let length = await from.read(buffer); length !== null; length = await from.read(buffer)) {
    for (let at = 0; at < length;) at += await to.write(buffer.subarray(at, length));
  }
  await to.closeWrite();
}
