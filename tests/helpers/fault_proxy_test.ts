import { assert, assertEquals, assertRejects } from "@std/assert";
import { type FaultProxy, startFaultProxy } from "./fault_proxy.ts";
import { type PeerConnection, type ScriptedPeer, startScriptedPeer } from "./scripted_peer.ts";
import { readExactly } from "./wire.ts";

function connect(port: number): Promise<Deno.TcpConn> {
  return Deno.connect({ hostname: "127.0.0.1", port });
}

/** A client and a broker's end that talk through the proxy. */
async function linked(proxy: FaultProxy, broker: ScriptedPeer): Promise<[Deno.TcpConn, PeerConnection]> {
  const client = await connect(proxy.port);
  return [client, await broker.accept()];
}

async function isPending(promise: Promise<unknown>, milliseconds = 50): Promise<boolean> {
  const pause = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => pause.resolve(true), milliseconds);
  const pending = await Promise.race([promise.then(() => false), pause.promise]);
  clearTimeout(timer);
  return pending;
}

Deno.test("startFaultProxy() hands bytes on both ways, and counts them", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client, end] = await linked(proxy, broker);
  await client.write(Uint8Array.of(1, 2, 3));
  assertEquals(await end.read(3), Uint8Array.of(1, 2, 3));
  await end.write([4]);
  assertEquals(await readExactly(client, 1), Uint8Array.of(4));
  assertEquals([proxy.toBroker.bytes, proxy.toClient.bytes, proxy.connectionCount], [3, 1, 1]);
  client.close();
  assertEquals(await end.readToEnd(), new Uint8Array());
});

Deno.test("startFaultProxy() hands a megabyte on unchanged", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client, end] = await linked(proxy, broker);
  const bytes = new Uint8Array(1024 * 1024).map((_, index) => index % 251);
  const reading = end.read(bytes.length);
  for (let at = 0; at < bytes.length;) at += await client.write(bytes.subarray(at));
  assertEquals(await reading, bytes);
  client.close();
});

Deno.test("startFaultProxy() reaches a Unix socket", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/broker.sock`;
  using listener = Deno.listen({ transport: "unix", path });
  await using proxy = await startFaultProxy({ path });
  using client = await connect(proxy.port);
  using end = await listener.accept();
  await client.write(Uint8Array.of(1));
  assertEquals(await readExactly(end, 1), Uint8Array.of(1));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("startFaultProxy() hands FIN on, and the other direction goes on", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client, end] = await linked(proxy, broker);
  await client.closeWrite();
  await end.readToEnd();
  await end.write([1]);
  assertEquals(await readExactly(client, 1), Uint8Array.of(1));
  end.closeFin();
  assertEquals(await client.read(new Uint8Array(1)), null);
  client.close();
});

Deno.test("startFaultProxy() hands RST on", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client, end] = await linked(proxy, broker);
  await end.closeRst();
  await assertRejects(() => client.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  client.close();
});

Deno.test("startFaultProxy() resets the client when the broker can't be reached", async () => {
  const port = (await (async () => {
    await using gone = await startScriptedPeer();
    return gone;
  })()).port;
  await using proxy = await startFaultProxy(port);
  using client = await connect(proxy.port);
  await assertRejects(() => client.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
});

Deno.test("FaultProxy.cut() ends all connections with FIN, after what was handed on", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [first, firstEnd] = await linked(proxy, broker);
  const [second, secondEnd] = await linked(proxy, broker);
  await firstEnd.write([1]);
  assertEquals(await readExactly(first, 1), Uint8Array.of(1));
  await proxy.cut();
  assertEquals(await first.read(new Uint8Array(1)), null);
  assertEquals(await second.read(new Uint8Array(1)), null);
  await firstEnd.readToEnd();
  await secondEnd.readToEnd();
  assertEquals([firstEnd.wasReset, secondEnd.wasReset], [false, false]);
  first.close();
  second.close();
});

Deno.test("ProxiedConnection.cut() breaks one connection with RST, on both sides", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [first, firstEnd] = await linked(proxy, broker);
  const [second, secondEnd] = await linked(proxy, broker);
  await proxy.connections[0].cut("rst");
  await assertRejects(() => first.read(new Uint8Array(1)), Deno.errors.ConnectionReset);
  await firstEnd.readToEnd();
  assertEquals(firstEnd.wasReset, true);
  await second.write(Uint8Array.of(1));
  assertEquals(await secondEnd.read(1), Uint8Array.of(1));
  first.close();
  second.close();
});

Deno.test("Lane.stall() holds one direction back until Lane.resume()", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client, end] = await linked(proxy, broker);
  proxy.toClient.stall();
  await end.write([1]);
  const reading = readExactly(client, 1);
  await client.write(Uint8Array.of(2));
  assertEquals(await end.read(1), Uint8Array.of(2));
  assert(await isPending(reading));
  proxy.toClient.resume();
  assertEquals(await reading, Uint8Array.of(1));
  client.close();
});

Deno.test("FaultProxy.stall() makes the client's writes wait in the end, and ends with the connection", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client] = await linked(proxy, broker);
  proxy.stall();
  const writing = (async () => {
    for (let written = 0; written < 64 * 1024 * 1024;) written += await client.write(new Uint8Array(1024 * 1024));
  })();
  assert(await isPending(writing, 300));
  await proxy.cut("rst");
  await assertRejects(() => writing, Error);
  client.close();
});

Deno.test("Lane.chunkSize gives every byte a write of its own", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client, end] = await linked(proxy, broker);
  proxy.toClient.chunkSize = 1;
  await end.write([1, 2, 3, 4]);
  assertEquals(await readExactly(client, 4), Uint8Array.of(1, 2, 3, 4));
  client.close();
});

Deno.test("Lane.delay holds bytes back, and Lane.bytesPerSecond spreads them", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const [client, end] = await linked(proxy, broker);
  proxy.toClient.delay = 0.1;
  const start = performance.now();
  await end.write([1]);
  await readExactly(client, 1);
  // A little less, because timers may fire early by the part of a millisecond.
  assert(performance.now() - start >= 99);
  proxy.toBroker.bytesPerSecond = 1000;
  await client.write(new Uint8Array(100));
  await end.read(100);
  assert(performance.now() - start >= 180);
  client.close();
});

for (const how of ["fin", "rst"] as const) {
  Deno.test(`Lane.cutAfter() cuts with ${how} right after a byte`, async () => {
    await using broker = await startScriptedPeer();
    await using proxy = await startFaultProxy(broker.port);
    const [client, end] = await linked(proxy, broker);
    proxy.toBroker.cutAfter(3, how);
    await client.write(Uint8Array.of(1, 2, 3, 4, 5));
    const arrived = await end.readToEnd();
    if (how === "fin") assertEquals(arrived, Uint8Array.of(1, 2, 3));
    assertEquals([proxy.toBroker.bytes, end.wasReset], [3, how === "rst"]);
    client.close();
    const [again, otherEnd] = await linked(proxy, broker);
    await again.write(Uint8Array.of(6, 7, 8, 9));
    assertEquals(await otherEnd.read(4), Uint8Array.of(6, 7, 8, 9));
    again.close();
  });
}

Deno.test("FaultProxy.blackHole accepts connections and answers nothing", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  proxy.blackHole = true;
  using lost = await connect(proxy.port);
  await lost.write(Uint8Array.of(1));
  const reading = lost.read(new Uint8Array(1));
  assert(await isPending(reading));
  proxy.blackHole = false;
  const [client, end] = await linked(proxy, broker);
  await client.write(Uint8Array.of(2));
  assertEquals(await end.read(1), Uint8Array.of(2));
  assertEquals([broker.connectionCount, proxy.connectionCount], [1, 2]);
  await proxy.cut();
  assertEquals(await reading, null);
  client.close();
});

Deno.test("FaultProxy.refuse() refuses new connections, and FaultProxy.allow() takes them on the same port", async () => {
  await using broker = await startScriptedPeer();
  await using proxy = await startFaultProxy(broker.port);
  const { port } = proxy;
  const [client, end] = await linked(proxy, broker);
  proxy.refuse();
  await assertRejects(() => connect(port), Deno.errors.ConnectionRefused);
  await client.write(Uint8Array.of(1));
  assertEquals(await end.read(1), Uint8Array.of(1));
  await proxy.allow();
  assertEquals(proxy.port, port);
  const [again, otherEnd] = await linked(proxy, broker);
  await again.write(Uint8Array.of(2));
  assertEquals(await otherEnd.read(1), Uint8Array.of(2));
  client.close();
  again.close();
});

Deno.test("FaultProxy ends while it is stalled, delaying and in the middle of a write", async () => {
  await using broker = await startScriptedPeer();
  const proxy = await startFaultProxy(broker.port);
  const [stalled] = await linked(proxy, broker);
  proxy.toBroker.delay = 60;
  await stalled.write(new Uint8Array(10));
  const [unread, end] = await linked(proxy, broker);
  const writing = end.write(new Uint8Array(16 * 1024 * 1024));
  await readExactly(unread, 1);
  proxy.stall();
  await proxy[Symbol.asyncDispose]();
  await writing;
  assertEquals(proxy.connections, []);
  stalled.close();
  unread.close();
});
