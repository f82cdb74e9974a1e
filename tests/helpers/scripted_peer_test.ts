import { assertEquals, assertRejects } from "@std/assert";
import { startScriptedPeer } from "./scripted_peer.ts";

async function connect(port: number): Promise<Deno.TcpConn> {
  return await Deno.connect({ hostname: "127.0.0.1", port });
}

Deno.test("PeerConnection.readPacket() gives whole packets, whatever the chunks", async () => {
  await using peer = await startScriptedPeer();
  using client = await connect(peer.port);
  const connection = await peer.accept();
  const long = new Uint8Array(203).fill(7);
  long.set([0x30, 0xc8, 0x01]);
  await client.write(Uint8Array.of(0xc0));
  const first = connection.readPacket();
  await client.write(Uint8Array.of(0x00, ...long, 1, 2, 3));
  assertEquals(await first, Uint8Array.of(0xc0, 0));
  assertEquals(await connection.readPacket(), long);
  assertEquals(await connection.read(3), Uint8Array.of(1, 2, 3));
});

Deno.test("PeerConnection.readPacket() rejects a remaining length of five bytes", async () => {
  await using peer = await startScriptedPeer();
  using client = await connect(peer.port);
  await client.write(Uint8Array.of(0x30, 0x80, 0x80, 0x80, 0x80, 0x01));
  await assertRejects(async () => await (await peer.accept()).readPacket(), Error, "Malformed remaining length");
});

Deno.test("PeerConnection.read() rejects when the client closes before", async () => {
  await using peer = await startScriptedPeer();
  const client = await connect(peer.port);
  const connection = await peer.accept();
  await client.write(Uint8Array.of(1, 2));
  client.close();
  await assertRejects(() => connection.read(3), Error, "ended after 2 of 3 bytes");
  assertEquals(await connection.readToEnd(), Uint8Array.of(1, 2));
});

Deno.test("PeerConnection.closeFin() ends the client's reading and leaves the peer's open", async () => {
  await using peer = await startScriptedPeer();
  using client = await connect(peer.port);
  const connection = await peer.accept();
  await connection.write([1, 2]);
  connection.closeFin();
  const buffer = new Uint8Array(8);
  assertEquals(await client.read(buffer), 2);
  assertEquals(await client.read(buffer), null);
  await client.write(Uint8Array.of(9));
  assertEquals(await connection.read(1), Uint8Array.of(9));
});

Deno.test("PeerConnection.closeRst() makes the client's read fail", async () => {
  await using peer = await startScriptedPeer();
  using client = await connect(peer.port);
  const connection = await peer.accept();
  const reading = client.read(new Uint8Array(8));
  await connection.closeRst();
  await assertRejects(() => reading, Deno.errors.ConnectionReset);
});

Deno.test("PeerConnection.closeRst() makes a write that is under way fail", async () => {
  await using peer = await startScriptedPeer();
  using client = await connect(peer.port);
  const connection = await peer.accept();
  const writing = (async () => {
    for (;;) await client.write(new Uint8Array(65_536));
  })();
  await connection.read(1);
  await connection.closeRst();
  await assertRejects(() => writing, Error);
});

Deno.test("PeerConnection leaves in the network what it does not read, so that the client's writes wait", async () => {
  await using peer = await startScriptedPeer();
  using client = await connect(peer.port);
  const connection = await peer.accept();
  const size = 32 * 1024 * 1024;
  let written = 0;
  const writing = (async () => {
    const chunk = new Uint8Array(65_536);
    while (written < size) written += await client.write(chunk);
  })();
  await connection.read(1);
  const waiting = Symbol();
  const pause = Promise.withResolvers<symbol>();
  const timer = setTimeout(() => pause.resolve(waiting), 100);
  assertEquals(await Promise.race([writing, pause.promise]), waiting);
  clearTimeout(timer);
  await connection.read(size - 1);
  await writing;
});

Deno.test("ScriptedPeer.accept() gives connections in order, those made before it was called too", async () => {
  await using peer = await startScriptedPeer();
  using first = await connect(peer.port);
  await first.write(Uint8Array.of(1));
  assertEquals(await (await peer.accept()).read(1), Uint8Array.of(1));
  const accepted = peer.accept();
  using second = await connect(peer.port);
  await second.write(Uint8Array.of(2));
  assertEquals(await (await accepted).read(1), Uint8Array.of(2));
  assertEquals(peer.connectionCount, 2);
});
