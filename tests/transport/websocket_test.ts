import { assert, assertEquals, assertRejects } from "@std/assert";
import { ProtocolError } from "../../src/errors.ts";
import { loadCertificates } from "../../src/transport/certificates.ts";
import { parseEndpoint } from "../../src/endpoint.ts";
import { openWebSocket, type WebSocketOptions, WebSocketTransport } from "../../src/transport/websocket.ts";
import { concat } from "../codec/bytes.ts";
import { certificatesOfFile } from "../helpers/file_certificates.ts";
import { startTlsRelay } from "../helpers/relay.ts";
import { startScriptedPeer } from "../helpers/scripted_peer.ts";
import {
  BINARY,
  CLOSE,
  frameHeader,
  PING,
  PONG,
  startWebSocketPeer,
  TEXT,
  type WebSocketPeerConnection,
} from "../helpers/websocket_peer.ts";
import { type Connected, transportContract, type TransportPeer } from "./contract.ts";

const { certificates: made, tlsTest } = await certificatesOfFile();

const MIB = 1024 * 1024;

transportContract("openWebSocket() over ws", async (): Promise<Connected> => {
  const { peer, transport, connection } = await connect();
  return {
    transport,
    peer: new BytePeer(connection),
    async [Symbol.asyncDispose]() {
      transport.close();
      await peer[Symbol.asyncDispose]();
    },
  };
}, { halfClose: false });

transportContract("openWebSocket() over wss", async (): Promise<Connected> => {
  if (made === undefined) throw new Error("There are no certificates");
  const peer = await startWebSocketPeer();
  const tls = await startTlsRelay(peer.peer.port, made.server);
  const certificates = await loadCertificates({ caFile: made.ca });
  const opening = open(`wss://127.0.0.1:${tls.port}/`, { certificates });
  const connection = await peer.accept();
  const transport = await opening;
  return {
    transport,
    peer: new BytePeer(connection),
    async [Symbol.asyncDispose]() {
      transport.close();
      await peer[Symbol.asyncDispose]();
      await tls[Symbol.asyncDispose]();
    },
  };
}, { halfClose: false, register: (name, test) => tlsTest(name, () => test()) });

Deno.test("openWebSocket() reaches Deno's own server", async () => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "mqtt" });
    socket.onmessage = ({ data }) => socket.send(data);
    return response;
  });
  const transport = await open(`ws://127.0.0.1:${server.addr.port}/`);
  await transport.write(Uint8Array.of(1, 2, 3));
  assertEquals(await transport.read(), Uint8Array.of(1, 2, 3));
  await transport.closeWrite();
  assertEquals(await transport.read(), null);
  await server.shutdown();
});

Deno.test("openWebSocket() asks for path and query as they stand and for the subprotocol, without the user", async () => {
  const uris = [
    ["", "/"],
    ["/", "/"],
    ["/mqtt", "/mqtt"],
    ["?a=1", "/?a=1"],
    ["/a%2Fb//c;d=e/?q=%20&r=/?&r", "/a%2Fb//c;d=e/?q=%20&r=/?&r"],
  ];
  for (const [written, asked] of uris) {
    await using peer = await startWebSocketPeer();
    const host = `127.0.0.1:${peer.peer.port}`;
    const opening = open(`ws://user:password@${host}${written}`);
    const request = await peer.request();
    assertEquals(request.line, `GET ${asked} HTTP/1.1`);
    assertEquals(request.headers.get("Sec-WebSocket-Protocol"), "mqtt");
    assertEquals(request.headers.get("Host"), host);
    assertEquals(request.headers.get("Authorization"), null);
    const connection = await request.upgrade();
    await ended(await opening, connection);
  }
});

Deno.test("openWebSocket() sends headers beside its own", async () => {
  for (const headers of [{ "X-A": "1", Authorization: "Bearer x" }, [["X-A", "1"], ["Authorization", "Bearer x"]]]) {
    await using peer = await startWebSocketPeer();
    const opening = open(peer.uri, { headers: new Headers(headers as HeadersInit) });
    const request = await peer.request();
    assertEquals(request.headers.get("X-A"), "1");
    assertEquals(request.headers.get("Authorization"), "Bearer x");
    assertEquals(request.headers.get("Sec-WebSocket-Protocol"), "mqtt");
    const connection = await request.upgrade();
    await ended(await opening, connection);
  }
});

Deno.test("openWebSocket() rejects when the server chooses no subprotocol, and closes the socket", async () => {
  await using peer = await startWebSocketPeer();
  const opening = open(peer.uri);
  const connection = await (await peer.request()).upgrade(null);
  await assertRejects(() => opening, Error, `did not accept the subprotocol "mqtt"`);
  await connection.closed();
});

Deno.test("openWebSocket() rejects when the server chooses another subprotocol", async () => {
  await using peer = await startWebSocketPeer();
  const opening = open(peer.uri);
  const connection = await (await peer.request()).upgrade("mqttv3.1");
  await assertRejects(() => opening, Error);
  await connection.closed();
});

Deno.test("openWebSocket() rejects with the status of a server that refuses", async () => {
  await using peer = await startWebSocketPeer();
  const opening = open(peer.uri);
  await (await peer.request()).refuse(401);
  await assertRejects(() => opening, Error, "401");
});

Deno.test("openWebSocket() gives up with the signal's reason while the server is silent, and closes the socket", async () => {
  await using peer = await startScriptedPeer();
  const controller = new AbortController();
  const opening = open(peer.uri.replace("mqtt:", "ws:"), { signal: controller.signal });
  const connection = await peer.accept();
  await connection.read(4);
  controller.abort(new RangeError("enough"));
  await assertRejects(() => opening, RangeError, "enough");
  await connection.readToEnd();
});

Deno.test("openWebSocket() with a signal that is aborted connects to nothing", async () => {
  await using peer = await startScriptedPeer();
  const signal = AbortSignal.abort(new RangeError("enough"));
  await assertRejects(() => open(peer.uri.replace("mqtt:", "ws:"), { signal }), RangeError, "enough");
  assertEquals(peer.connectionCount, 0);
});

Deno.test("openWebSocket() leaves no HTTP client behind when the socket cannot be made", async () => {
  const certificates = { caCerts: [] };
  for (const headers of [[["a b", "c"]], [["a", "€"]], [["a", "b\r\nc"]]] as [string, string][][]) {
    await assertRejects(() => open("wss://127.0.0.1:1/", { certificates, headers }), TypeError);
  }
});

Deno.test("WebSocketTransport.read() gives the bytes of every binary message in order, however they are framed", async () => {
  await using link = await connect();
  const { transport, connection } = link;
  await connection.sendBinary([1, 2, 3], [], [4]);
  await connection.send(PING, [9]);
  await connection.send(BINARY, [5], false);
  await connection.send(0, [], false);
  await connection.send(0, [6, 7], true);
  await connection.sendBinary(new Uint8Array(100_000).fill(8));
  assertEquals(await read(transport, 7), Uint8Array.of(1, 2, 3, 4, 5, 6, 7));
  assertEquals(await read(transport, 100_000), new Uint8Array(100_000).fill(8));
  assertEquals((await connection.read()).opcode, PONG);
});

Deno.test("WebSocketTransport.read() that waits is given the next message, not an empty one", async () => {
  await using link = await connect();
  const reading = link.transport.read();
  await link.connection.sendBinary([], [], [1]);
  assertEquals(await reading, Uint8Array.of(1));
});

Deno.test("WebSocketTransport.read() gives what came before a text message, and then rejects with ProtocolError", async () => {
  const { peer, transport, connection } = await connect();
  await using _ = peer;
  await connection.sendBinary([1]);
  await connection.send(TEXT, [0x41]);
  await connection.sendBinary([2]);
  assertEquals(await transport.read(), Uint8Array.of(1));
  const error = await assertRejects(() => transport.read(), ProtocolError, "text");
  assertEquals(error.reasonCode, 0x82);
  await assertRejects(() => transport.read(), ProtocolError);
  await assertRejects(() => transport.write(Uint8Array.of(1)), ProtocolError);
  await connection.closed();
});

Deno.test("WebSocketTransport.read() gives null when the server closes with 1000 or no code", async () => {
  for (const payload of [[], [0x03, 0xe8]]) {
    const { peer, transport, connection } = await connect();
    await using _ = peer;
    await connection.sendBinary([1]);
    await connection.send(CLOSE, payload);
    assertEquals(await transport.read(), Uint8Array.of(1));
    assertEquals([await transport.read(), await transport.read()], [null, null]);
    assertEquals((await connection.read()).opcode, CLOSE);
    await assertRejects(() => transport.write(Uint8Array.of(1)), Error, "closed");
    transport.close();
  }
});

Deno.test("WebSocketTransport.read() rejects with the code and the reason when the server closes with another", async () => {
  for (
    const [code, reason, words] of [[1001, "", "1001"], [1008, 'no "more"', `1008, "no \\"more\\""`], [
      4321,
      "x",
      "4321",
    ]] as const
  ) {
    const { peer, transport, connection } = await connect();
    await using _ = peer;
    const reading = transport.read();
    await Promise.all([connection.close(code, reason), assertRejects(() => reading, Error, words)]);
    await assertRejects(() => transport.read(), Error, words);
    await assertRejects(() => transport.write(Uint8Array.of(1)), Error, words);
  }
});

Deno.test("WebSocketTransport.read() rejects when the connection ends without a close frame", async () => {
  for (const end of ["closeFin", "closeRst"] as const) {
    const { peer, transport, connection } = await connect();
    await using _ = peer;
    await connection.sendBinary([1]);
    assertEquals(await transport.read(), Uint8Array.of(1));
    await connection.peer[end]();
    await assertRejects(() => transport.read(), Error);
    await assertRejects(() => transport.write(Uint8Array.of(1)), Error);
    transport.close();
  }
});

Deno.test("WebSocketTransport.read() tells that a frame of 64 MiB is too large for Deno", async () => {
  const { peer, transport, connection } = await connect();
  await using _ = peer;
  await connection.peer.write(frameHeader(BINARY, 64 * MIB));
  await assertRejects(() => transport.read(), Error, "64 MiB");
});

Deno.test("WebSocketTransport.write() sends a binary message with the bytes as they are at the call", async () => {
  await using link = await connect();
  const bytes = Uint8Array.of(0, 1, 2, 3, 4);
  await link.transport.write(bytes.subarray(1, 4));
  bytes.fill(9);
  assertEquals(await link.connection.read(), { opcode: BINARY, payload: Uint8Array.of(1, 2, 3) });
});

Deno.test("WebSocketTransport.write() waits while more than 1 MiB is not sent", async () => {
  const socket = new FakeSocket();
  const transport = new WebSocketTransport(socket, () => {});
  socket.bufferedAmount = MIB + 1;
  let written = false;
  const writing = transport.write(Uint8Array.of(1)).then(() => written = true);
  for (let looks = 0; looks < 5; looks++) await socket.looked();
  assertEquals(written, false);
  socket.bufferedAmount = MIB;
  await writing;
  assertEquals(socket.sent, [[1]]);
});

Deno.test("WebSocketTransport.write() that waits rejects when the socket is closed", async () => {
  const socket = new FakeSocket();
  const transport = new WebSocketTransport(socket, () => {});
  socket.bufferedAmount = 2 * MIB;
  const writing = transport.write(Uint8Array.of(1));
  await socket.looked();
  transport.close();
  await assertRejects(() => writing, Error, "closed");
});

Deno.test("WebSocketTransport sends no more than a few MiB ahead of a server that does not read", async () => {
  const { peer, transport, connection } = await connect();
  await using _ = peer;
  const total = 64;
  let written = 0;
  const writing = (async () => {
    for (; written < total; written++) await transport.write(new Uint8Array(MIB));
    await transport.closeWrite();
  })();
  // The kernel's buffers, the two ends' own, and what write() allows.
  await connection.read();
  assert(written < 32, `${written} MiB were written before the second was read`);
  for (let received = 1; received < total; received++) assertEquals((await connection.read()).payload.length, MIB);
  await writing;
  await connection.closed();
  assertEquals(await transport.read(), null);
});

Deno.test("WebSocketTransport gives up a connection on which 64 MiB are unread, after handing out what it has kept", async () => {
  const { peer, transport, connection } = await connect();
  await using _ = peer;
  const frame = new Uint8Array(8 * MIB);
  const closed = connection.closed();
  for (let i = 0; i < 12; i++) await connection.sendBinary(frame);
  await closed;
  let kept = 0;
  await assertRejects(
    async () => {
      for (;;) kept += (await transport.read())?.length ?? 0;
    },
    Error,
    "received and not read",
  );
  assertEquals(kept, 64 * MIB);
});

Deno.test("WebSocketTransport counts what small messages cost beside their bytes", async () => {
  const { peer, transport, connection } = await connect();
  await using _ = peer;
  const messages = new Uint8Array(3 * 200_000);
  for (let i = 0; i < messages.length; i += 3) messages.set([0x80 | BINARY, 1], i);
  const closed = connection.closed();
  await connection.peer.write(messages);
  await closed;
  await assertRejects(
    async () => {
      for (;;) await transport.read();
    },
    Error,
    "received and not read",
  );
});

Deno.test("WebSocketTransport.closeWrite() ends the connection behind what was written, and reading goes on until the server has", async () => {
  const { peer, transport, connection } = await connect();
  await using _ = peer;
  await transport.write(new Uint8Array(MIB));
  await transport.closeWrite();
  const reading = transport.read();
  assertEquals((await connection.read()).payload.length, MIB);
  assertEquals(await connection.read(), { opcode: CLOSE, payload: Uint8Array.of(0x03, 0xe8) });
  await connection.send(CLOSE, [0x03, 0xe8]);
  assertEquals(await reading, null);
  transport.close();
});

Deno.test("WebSocketTransport.close() wakes read() with null, more than once, and drops what is unread", async () => {
  const { peer, transport, connection } = await connect();
  await using _ = peer;
  const reading = transport.read();
  transport.close();
  transport.close();
  assertEquals([await reading, await transport.read()], [null, null]);
  await assertRejects(() => transport.write(Uint8Array.of(1)), Error, "closed");
  await connection.sendBinary([1]);
  await connection.closed();
  assertEquals(await transport.read(), null);
});

Deno.test("WebSocketTransport.close() leaves nothing behind when the server breaks off instead of answering", async () => {
  for (const end of ["closeFin", "closeRst"] as const) {
    const { peer, transport, connection } = await connect();
    await using _ = peer;
    transport.close();
    assertEquals((await connection.read()).opcode, CLOSE);
    await connection.peer[end]();
    assertEquals(await transport.read(), null);
  }
});

Deno.test("WebSocketTransport passes on what a browser tells of a failure", async () => {
  const socket = new FakeSocket();
  const transport = new WebSocketTransport(socket, () => {});
  socket.onerror?.(new Event("error"));
  socket.onclose?.(new CloseEvent("close", { code: 1006 }));
  await assertRejects(() => transport.opened, Error, "browser");
  await assertRejects(() => transport.read(), Error, "browser");
});

function open(uri: string, options: Partial<WebSocketOptions> = {}) {
  const { signal } = new AbortController();
  return openWebSocket(parseEndpoint(uri), { signal, headers: undefined, certificates: undefined, ...options });
}

/** A transport and the server's end of its connection. */
async function connect() {
  const peer = await startWebSocketPeer();
  const [transport, connection] = await Promise.all([open(peer.uri), peer.accept()]);
  return {
    peer,
    transport,
    connection,
    async [Symbol.asyncDispose]() {
      await ended(transport, connection);
      await peer[Symbol.asyncDispose]();
    },
  };
}

/** Closes both ends. */
async function ended(transport: { close(): void }, connection: WebSocketPeerConnection): Promise<void> {
  transport.close();
  await connection.closed();
}

/** Bytes in whatever pieces they come. */
class ByteReader {
  readonly #next: () => Promise<Uint8Array | null>;
  #unread = new Uint8Array(0);

  constructor(next: () => Promise<Uint8Array | null>) {
    this.#next = next;
  }

  async read(count: number): Promise<Uint8Array> {
    const chunks = [this.#unread];
    for (let length = this.#unread.length; length < count;) {
      const chunk = await this.#next();
      if (chunk === null) throw new Error(`The connection ended after ${length} of ${count} bytes`);
      chunks.push(chunk.slice());
      length += chunk.length;
    }
    const bytes = concat(chunks);
    this.#unread = bytes.slice(count);
    return bytes.slice(0, count);
  }

  async readToEnd(): Promise<Uint8Array> {
    const chunks: Uint8Array[] = [this.#unread];
    for (let chunk = await this.#next(); chunk !== null; chunk = await this.#next()) chunks.push(chunk);
    return concat(chunks);
  }
}

/** The server's end of a WebSocket as bytes. */
class BytePeer implements TransportPeer {
  readonly #connection: WebSocketPeerConnection;
  readonly #bytes: ByteReader;

  constructor(connection: WebSocketPeerConnection) {
    this.#connection = connection;
    this.#bytes = new ByteReader(() => this.#nextMessage());
  }

  read(count: number): Promise<Uint8Array> {
    return this.#bytes.read(count);
  }

  readToEnd(): Promise<Uint8Array> {
    return this.#bytes.readToEnd();
  }

  async #nextMessage(): Promise<Uint8Array | null> {
    const { opcode, payload } = await this.#connection.read();
    if (opcode !== CLOSE) return payload;
    await this.#connection.send(CLOSE, payload);
    return null;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#connection.sendBinary(bytes);
  }

  closeFin(): Promise<void> {
    return this.#connection.send(CLOSE);
  }

  closeRst(): Promise<void> {
    return this.#connection.peer.closeRst();
  }
}

async function read(transport: WebSocketTransport, count: number): Promise<Uint8Array> {
  return await new ByteReader(() => transport.read()).read(count);
}

/** A WebSocket whose buffer is as full as a test wants it. */
class FakeSocket extends EventTarget implements WebSocket {
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;
  readonly readyState = 1;
  readonly extensions = "";
  readonly protocol = "mqtt";
  readonly url = "ws://127.0.0.1/";
  binaryType: BinaryType = "blob";
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onerror: ((event: Event) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  readonly sent: number[][] = [];
  #bufferedAmount = 0;
  #look = Promise.withResolvers<void>();

  get bufferedAmount(): number {
    this.#look.resolve();
    return this.#bufferedAmount;
  }

  set bufferedAmount(bytes: number) {
    this.#bufferedAmount = bytes;
  }

  /** Resolves when the transport looks at `bufferedAmount` again. */
  async looked(): Promise<void> {
    this.#look = Promise.withResolvers();
    await this.#look.promise;
  }

  send(data: string | ArrayBufferLike | Blob | ArrayBufferView): void {
    if (!(data instanceof Uint8Array)) throw new TypeError("Only bytes are expected here");
    this.sent.push([...data]);
  }

  close(): void {}
}
