import { createHash } from "node:crypto";
import { type PeerConnection, type ScriptedPeer, startScriptedPeer } from "./scripted_peer.ts";

export const TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10;

/** Starts a WebSocket server on 127.0.0.1 that does what a test tells it to, frame by frame. */
export async function startWebSocketPeer(): Promise<WebSocketPeer> {
  return new WebSocketPeer(await startScriptedPeer());
}

export class WebSocketPeer implements AsyncDisposable {
  readonly peer: ScriptedPeer;
  readonly uri: string;

  constructor(peer: ScriptedPeer) {
    this.peer = peer;
    this.uri = `ws://127.0.0.1:${peer.port}/`;
  }

  /** Takes the next connection and reads the request for an upgrade. */
  async request(): Promise<UpgradeRequest> {
    const connection = await this.peer.accept();
    let text = "";
    while (!text.endsWith("\r\n\r\n")) text += String.fromCharCode(...await connection.read(1));
    return new UpgradeRequest(connection, text);
  }

  /** Takes the next connection and upgrades it. */
  async accept(): Promise<WebSocketPeerConnection> {
    return await (await this.request()).upgrade();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.peer[Symbol.asyncDispose]();
  }
}

export class UpgradeRequest {
  readonly #connection: PeerConnection;
  /** `GET /path?query HTTP/1.1` */
  readonly line: string;
  readonly headers: Headers;

  constructor(connection: PeerConnection, text: string) {
    this.#connection = connection;
    const [line, ...fields] = text.trimEnd().split("\r\n");
    this.line = line;
    this.headers = new Headers(fields.map((field): [string, string] => {
      const colon = field.indexOf(":");
      return [field.slice(0, colon), field.slice(colon + 1)];
    }));
  }

  /** Answers that the protocol is WebSocket from now on; `null` chooses no subprotocol. */
  async upgrade(subprotocol: string | null = "mqtt"): Promise<WebSocketPeerConnection> {
    const key = this.headers.get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    await this.#answer([
      "HTTP/1.1 101 Switching Protocols",
      "Upgrade: websocket",
      "Connection: Upgrade",
      `Sec-WebSocket-Accept: ${createHash("sha1").update(key).digest("base64")}`,
      ...(subprotocol === null ? [] : [`Sec-WebSocket-Protocol: ${subprotocol}`]),
    ]);
    return new WebSocketPeerConnection(this.#connection);
  }

  async refuse(status: number): Promise<void> {
    await this.#answer([`HTTP/1.1 ${status} No`, "Content-Length: 0"]);
    await this.#connection.close();
  }

  async #answer(lines: string[]): Promise<void> {
    await this.#connection.write(new TextEncoder().encode(`${lines.join("\r\n")}\r\n\r\n`));
  }
}

export interface WebSocketFrame {
  opcode: number;
  payload: Uint8Array;
}

export class WebSocketPeerConnection {
  /** The TCP connection below. */
  readonly peer: PeerConnection;

  constructor(peer: PeerConnection) {
    this.peer = peer;
  }

  /** Sends one frame. `final` says whether it is the last of its message. */
  async send(opcode: number, payload: Uint8Array | readonly number[] = [], final = true): Promise<void> {
    await this.peer.write(frameHeader(opcode, payload.length, final));
    if (payload.length > 0) await this.peer.write(payload);
  }

  /** Sends a frame for each of the lists of bytes. */
  async sendBinary(...payloads: (Uint8Array | readonly number[])[]): Promise<void> {
    for (const payload of payloads) await this.send(BINARY, payload);
  }

  /** Reads the next frame, which must be masked as those of a client are. */
  async read(): Promise<WebSocketFrame> {
    const [first, second] = await this.peer.read(2);
    if (second < 0x80) throw new Error("The client sent a frame without a mask");
    const length = await this.#readLength(second & 0x7f);
    const mask = await this.peer.read(4);
    const payload = await this.peer.read(length);
    for (let i = 0; i < length; i++) payload[i] ^= mask[i & 3];
    return { opcode: first & 0x0f, payload };
  }

  async #readLength(short: number): Promise<number> {
    if (short < 126) return short;
    const bytes = await this.peer.read(short === 126 ? 2 : 8);
    return bytes.reduce((length, byte) => length * 256 + byte, 0);
  }

  /** Ends the connection in good order: a close frame each way, and then that of TCP. */
  async close(code = 1000, reason = ""): Promise<void> {
    await this.send(CLOSE, [code >> 8, code & 0xff, ...new TextEncoder().encode(reason)]);
    while ((await this.read()).opcode !== CLOSE);
    await this.peer.close();
  }

  /** Waits until the client ends the connection in good order, and answers as it is due. */
  async closed(): Promise<void> {
    let frame;
    do frame = await this.read(); while (frame.opcode !== CLOSE);
    await this.send(CLOSE, frame.payload);
    await this.peer.close();
  }
}

/** The start of a frame without a mask, as servers send it. */
export function frameHeader(opcode: number, length: number, final = true): Uint8Array {
  const first = opcode | (final ? 0x80 : 0);
  if (length < 126) return Uint8Array.of(first, length);
  if (length < 65_536) return Uint8Array.of(first, 126, length >> 8, length & 0xff);
  const header = new Uint8Array(10);
  header.set([first, 127]);
  new DataView(header.buffer).setBigUint64(2, BigInt(length));
  return header;
}
