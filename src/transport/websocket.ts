import { authority, type Endpoint } from "../endpoint.ts";
import { ProtocolError } from "../errors.ts";
import { Queue } from "../queue.ts";
import { PROTOCOL_ERROR } from "../reason_codes.ts";
import type { Certificates } from "./certificates.ts";
import type { OpenOptions, Transport } from "./transport.ts";
import { askRefusal, hidesRefusal } from "./upgrade.ts";

/** What a WebSocket is opened with. */
export interface WebSocketOptions extends OpenOptions {
  headers: HeadersInit | undefined;
  /** For `wss`, when the defaults will not do. */
  certificates: Certificates | undefined;
}

const SUBPROTOCOL = "mqtt"; // [MQTT-6.0.0-3], [MQTT-6.0.0-4]

/** With more bytes than this not yet sent, `write()` waits. No message is larger: servers have limits, Deno's among them. */
const HIGH_WATER = 1024 * 1024;

/** How often it is looked whether they have been, in milliseconds: nothing tells. */
const POLL_INTERVAL = 1;

/** How many bytes may be received and not read. A WebSocket cannot be told to wait, so at more the connection is given up. */
const MOST_UNREAD = 64 * 1024 * 1024;

/** What a message costs beside its bytes, roughly: many small ones are not free. */
const MESSAGE_COST = 512;

const NO_REASON = "The WebSocket failed, and the browser tells programs no reason";

/** Opens a WebSocket; without headers and certificates by nothing but the Web's own interface. */
export async function openWebSocket(endpoint: Endpoint, options: WebSocketOptions): Promise<WebSocketTransport> {
  const { headers, certificates, signal } = options;
  signal.throwIfAborted();
  const client = certificates && Deno.createHttpClient(certificates);
  const transport = new WebSocketTransport(newWebSocket(endpoint, headers, client), () => client?.close());
  const close = () => transport.close();
  signal.addEventListener("abort", close);
  try {
    await transport.opened;
  } catch (error) {
    signal.throwIfAborted();
    throw hidesRefusal(endpoint, error) ? await askRefusal(endpoint, options, error) : error;
  } finally {
    signal.removeEventListener("abort", close);
  }
  if (transport.subprotocol === SUBPROTOCOL) return transport;
  transport.close();
  throw new Error(`The server did not accept the subprotocol "${SUBPROTOCOL}"`);
}

function newWebSocket(endpoint: Endpoint, headers?: HeadersInit, client?: Deno.HttpClient): WebSocket {
  const url = `${endpoint.scheme}://${authority(endpoint)}${endpoint.path}`;
  try {
    return headers === undefined && client === undefined
      ? new WebSocket(url, SUBPROTOCOL)
      : new WebSocket(url, { protocols: [SUBPROTOCOL], headers, client });
  } catch (error) {
    client?.close();
    throw error;
  }
}

/** A WebSocket as a transport; packets may be split over messages and share them (§6). */
export class WebSocketTransport implements Transport {
  /** Resolves when the socket is open, rejects when it cannot be opened. */
  readonly opened: Promise<void>;
  readonly #socket: WebSocket;
  readonly #received = new Queue<Uint8Array>();
  #unread = 0;
  #reader: PromiseWithResolvers<Uint8Array | null> | undefined;
  /** Set when nothing more will come: the error, or none. */
  #end: { error: unknown } | undefined;

  /** Takes a socket that is not open yet, and what is called when it is closed. */
  constructor(socket: WebSocket, onClose: () => void) {
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.opened = promise;
    let failure: Error | undefined;
    socket.onopen = () => resolve();
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onerror = (event) => {
      failure = event instanceof ErrorEvent ? asError(event) : new Error(NO_REASON);
    };
    socket.onclose = ({ code, reason, wasClean }) => {
      socket.onclose = null; // Deno may call it again.
      const words = reason === "" ? "" : `, ${JSON.stringify(reason)}`;
      const regular = wasClean && (code === 1000 || code === 1005);
      failure ??= regular ? undefined : new Error(`The WebSocket was closed with code ${code}${words}`);
      onClose();
      this.#finish(failure);
      reject(failure ?? new Error("The WebSocket was closed before it was open"));
    };
  }

  /** The subprotocol that the server has chosen; empty for none. */
  get subprotocol(): string {
    return this.#socket.protocol;
  }

  #receive(data: unknown): void {
    if (this.#end !== undefined) return;
    if (!(data instanceof ArrayBuffer)) return this.#fail(textError());
    if (data.byteLength === 0) return;
    if (this.#reader !== undefined) {
      this.#reader.resolve(new Uint8Array(data));
      this.#reader = undefined;
      return;
    }
    this.#received.push(new Uint8Array(data));
    this.#unread += data.byteLength + MESSAGE_COST;
    if (this.#received.length > 1 && this.#unread > MOST_UNREAD) {
      this.#fail(new Error(`${this.#received.length} messages were received and not read, which is too much to keep`));
    }
  }

  #fail(error: Error): void {
    this.#finish(error);
    this.#socket.close();
  }

  #finish(error: unknown): void {
    this.#end ??= { error };
    if (error === undefined) this.#reader?.resolve(null);
    else this.#reader?.reject(error);
    this.#reader = undefined;
  }

  async read(): Promise<Uint8Array | null> {
    const chunk = this.#received.shift();
    if (chunk !== undefined) {
      this.#unread -= chunk.length + MESSAGE_COST;
      return chunk;
    }
    if (this.#end === undefined) {
      this.#reader = Promise.withResolvers();
      return await this.#reader.promise;
    }
    if (this.#end.error !== undefined) throw this.#end.error;
    return null;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    for (let at = 0; at < bytes.length; at += HIGH_WATER) {
      const part = bytes.subarray(at, at + HIGH_WATER);
      this.#socket.send(part as Uint8Array<ArrayBuffer>); // which no caller shares with other threads
      while (this.#socket.bufferedAmount > HIGH_WATER) {
        await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
        this.#checkOpen();
      }
    }
  }

  #checkOpen(): void {
    if (this.#end !== undefined) throw this.#end.error ?? new Error("The WebSocket is closed");
  }

  /** Begins to close the socket when all is sent; `read()` gives `null` when the peer has closed it too. */
  closeWrite(): Promise<void> {
    this.#socket.close(1000);
    return Promise.resolve();
  }

  /** Begins to close the socket; it is gone when the peer answers, for which Deno waits without end. */
  close(): void {
    this.#finish(undefined);
    this.#end = { error: undefined };
    this.#received.takeAll();
    this.#socket.close();
  }
}

function textError(): ProtocolError { // [MQTT-6.0.0-1]
  return new ProtocolError("The broker sent text over the WebSocket", PROTOCOL_ERROR);
}

/** Puts what Deno says into other words where only its source explains them. */
function asError({ message, error }: ErrorEvent): Error {
  if (message === "Invalid UTF-8") return textError();
  const words = message === "Frame too large"
    ? "The broker sent a frame of 64 MiB or more, which Deno's WebSocket does not take"
    : message;
  return new Error(words, { cause: error });
}
