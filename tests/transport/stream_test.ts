import { assert, assertEquals, assertRejects } from "@std/assert";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { parseEndpoint } from "../../src/endpoint.ts";
import { StreamTransport } from "../../src/transport/stream.ts";
import { openTcp } from "../../src/transport/tcp.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { openUnix } from "../../src/transport/unix.ts";
import { createPipe } from "../helpers/pipe.ts";
import { PeerConnection, startScriptedPeer } from "../helpers/scripted_peer.ts";
import { ByteSocket, closeServer } from "../helpers/sockets.ts";
import { type Connected, transportContract } from "./contract.ts";

const { signal } = new AbortController();

async function connectTcp(): Promise<Connected> {
  const peer = await startScriptedPeer();
  const transport = await openTcp(parseEndpoint(peer.uri), { signal });
  return {
    transport,
    peer: await peer.accept(),
    async [Symbol.asyncDispose]() {
      transport.close();
      await peer[Symbol.asyncDispose]();
    },
  };
}

async function connectUnix(): Promise<Connected> {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "socket");
  const { server, accepted } = await listenUnix(path);
  const transport = await openUnix(parseEndpoint(`unix:${path}`), { signal });
  const peer = await accepted;
  return {
    transport,
    peer,
    async [Symbol.asyncDispose]() {
      transport.close();
      await Promise.all([closeServer(server), peer.close()]);
      await Deno.remove(folder, { recursive: true });
    },
  };
}

async function listenUnix(path: string): Promise<{ server: Server; accepted: Promise<PeerConnection> }> {
  const { promise: accepted, resolve } = Promise.withResolvers<PeerConnection>();
  const server = createServer(
    { allowHalfOpen: true, pauseOnConnect: true },
    (socket) => resolve(new PeerConnection(new ByteSocket(socket))),
  );
  await new Promise<void>((listening) => server.listen(path, listening));
  return { server, accepted };
}

/** The pipe that other tests take for a network must behave as one. */
function connectPipe(): Promise<Connected> {
  const [transport, other] = createPipe({ highWaterMark: 65_536 });
  return Promise.resolve({
    transport,
    peer: {
      read: (count) => readExactly(other, count),
      readToEnd: () => readExactly(other, Infinity),
      write: (bytes) => other.write(bytes),
      closeFin: () => other.closeWrite(),
      closeRst: () => Promise.resolve(other.close()),
    },
    [Symbol.asyncDispose]() {
      transport.close();
      other.close();
      return Promise.resolve();
    },
  });
}

/** What was read and not asked for yet. */
const rests = new WeakMap<Transport, Uint8Array>();

async function readExactly(transport: Transport, count: number): Promise<Uint8Array> {
  const chunks = [rests.get(transport) ?? new Uint8Array(0)];
  let length = chunks[0].length;
  while (length < count) {
    const chunk = await transport.read();
    if (chunk === null) break;
    chunks.push(chunk);
    length += chunk.length;
  }
  const bytes = new Uint8Array(await new Blob(chunks as Uint8Array<ArrayBuffer>[]).arrayBuffer());
  rests.set(transport, bytes.subarray(count));
  return bytes.subarray(0, count);
}

transportContract("StreamTransport over TCP", connectTcp);
transportContract("StreamTransport over a Unix socket", connectUnix);
transportContract("A pipe in memory", connectPipe);

Deno.test("StreamTransport.read() reads straight to the room that it is given", async () => {
  await using connected = await connectTcp();
  const { transport, peer } = connected;
  const room = new Uint8Array(100_000);
  await peer.write(Uint8Array.of(1, 2, 3));
  const chunk = await transport.read(room);
  assertEquals(chunk, Uint8Array.of(1, 2, 3));
  assert(chunk?.buffer === room.buffer);
  await peer.write(Uint8Array.of(4));
  assert((await transport.read())?.buffer !== room.buffer);
});

Deno.test("StreamTransport.read() uses its buffer again, and grows it with what arrives to 64 KiB", async () => {
  await using connected = await connectTcp();
  const { transport, peer } = connected;
  const first = await readOne(transport, peer.write(new Uint8Array(10)));
  const second = await readOne(transport, peer.write(new Uint8Array(10)));
  assert(first.buffer === second.buffer);
  assertEquals(first.buffer.byteLength, 1024);
  let largest = 0;
  const bytes = 4 * 1024 * 1024;
  const writing = peer.write(new Uint8Array(bytes));
  for (let read = 0; read < bytes;) {
    const chunk = await readOne(transport, Promise.resolve());
    largest = Math.max(largest, chunk.buffer.byteLength);
    read += chunk.length;
  }
  await writing;
  assertEquals(largest, 65_536);
});

async function readOne(transport: Transport, writing: Promise<void>): Promise<Uint8Array> {
  const [chunk] = await Promise.all([transport.read(), writing]);
  if (chunk === null) throw new Error("The connection ended");
  return chunk;
}

Deno.test("StreamTransport.write() writes what it can at the moment, and gives how many bytes", async () => {
  const written: number[] = [];
  const threeAtATime = {
    write(bytes: Uint8Array) {
      const part = bytes.subarray(0, 3);
      written.push(...part);
      return Promise.resolve(part.length);
    },
  };
  const transport = new StreamTransport(threeAtATime as unknown as Deno.Conn);
  assertEquals(await transport.write(Uint8Array.from({ length: 10 }, (_, i) => i)), 3);
  assertEquals(written, [0, 1, 2]);
});

Deno.test("openTcp() rejects when nobody listens", async () => {
  const peer = await startScriptedPeer();
  await peer[Symbol.asyncDispose]();
  await assertRejects(() => openTcp(parseEndpoint(peer.uri), { signal }), Deno.errors.ConnectionRefused);
});

Deno.test("openUnix() rejects when there is no socket", async () => {
  await assertRejects(() => openUnix(parseEndpoint("unix:/nowhere/socket"), { signal }), Deno.errors.NotFound);
});

Deno.test("openTcp() and openUnix() reject with the reason of a signal that has aborted, and leave nothing open", async () => {
  const reason = new RangeError("enough");
  await using peer = await startScriptedPeer();
  const aborted = { signal: AbortSignal.abort(reason) };
  for (const uri of [peer.uri, "mqtt://localhost:1"]) {
    await assertRejects(() => openTcp(parseEndpoint(uri), aborted), RangeError, "enough");
  }
  await assertRejects(() => openUnix(parseEndpoint("unix:/nowhere/socket"), aborted), RangeError, "enough");
});

Deno.test("openTcp() rejects with the reason of its signal while it connects, and leaves nothing open", async () => {
  await using peer = await startScriptedPeer();
  const controller = new AbortController();
  const opening = openTcp(parseEndpoint(peer.uri), { signal: controller.signal });
  controller.abort(new RangeError("enough"));
  await assertRejects(() => opening, RangeError, "enough");
});
