import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Transport } from "../../src/transport/transport.ts";
import { writeAll } from "../helpers/write_all.ts";

/** The other side of a transport, as a test plays it. {@linkcode PeerConnection} is one. */
export interface TransportPeer {
  /** Reads exactly `count` bytes. */
  read(count: number): Promise<Uint8Array>;
  /** Waits for the end of what the transport writes, and gives what came before. */
  readToEnd(): Promise<Uint8Array>;
  write(bytes: Uint8Array): Promise<void>;
  /** Says in good order that it will write no more. */
  closeFin(): void | Promise<void>;
  /** Breaks the connection. */
  closeRst(): Promise<void>;
}

/** A transport and its peer; disposing of it closes both. */
export interface Connected extends AsyncDisposable {
  readonly transport: Transport;
  readonly peer: TransportPeer;
}

/** What a kind of transport can do beyond the least. */
export interface ContractOptions {
  /** Whether it can still read after `closeWrite()`. @default {true} */
  halfClose?: boolean;
  /** Registers the tests. @default {Deno.test} */
  register?: (name: string, test: () => Promise<void>) => void;
}

const MIB = 1024 * 1024;

/** Registers the tests that every transport must pass. */
export function transportContract(
  name: string,
  connect: () => Promise<Connected>,
  { halfClose = true, register = Deno.test }: ContractOptions = {},
): void {
  const test = (sentence: string, fn: (connected: Connected) => Promise<void>) =>
    register(`${name} ${sentence}`, async () => {
      await using connected = await connect();
      await fn(connected);
    });

  test("reads what the peer writes, in order, in chunks of at least one byte", async ({ transport, peer }) => {
    const sizes = [1, 2, 4095, 4096, 4097, 65_535, 65_536, 65_537, 300_000, 3];
    const bytes = counted(sizes.reduce((sum, size) => sum + size));
    const writing = (async () => {
      let at = 0;
      for (const size of sizes) await peer.write(bytes.subarray(at, at += size));
    })();
    const received = new Uint8Array(bytes.length);
    for (let at = 0; at < received.length;) {
      const chunk = await transport.read();
      if (chunk === null) throw new Error("The connection ended");
      assert(chunk.length > 0);
      received.set(chunk, at);
      at += chunk.length;
    }
    await writing;
    assertSame(received, bytes);
  });

  test("leaves a chunk as it is until the next read()", async ({ transport, peer }) => {
    await peer.write(Uint8Array.of(1, 2, 3));
    const chunk = await transport.read();
    await peer.write(Uint8Array.of(4, 5, 6));
    await transport.write(Uint8Array.of(0));
    await peer.read(1);
    assertEquals(chunk, Uint8Array.of(1, 2, 3));
    assertEquals(await transport.read(), Uint8Array.of(4, 5, 6));
  });

  test("gives null at the peer's end, after what came before it, and null again", async ({ transport, peer }) => {
    await peer.write(Uint8Array.of(1));
    await peer.closeFin();
    assertEquals(await transport.read(), Uint8Array.of(1));
    assertEquals(await transport.read(), null);
    assertEquals(await transport.read(), null);
  });

  test("wakes a pending read() with null at the peer's end", async ({ transport, peer }) => {
    const reading = transport.read();
    await peer.closeFin();
    assertEquals(await reading, null);
  });

  test("writes everything, in order", async ({ transport, peer }) => {
    const parts = [1, 0, 100, 70_000, 1].map((size, i) => counted(size, i));
    const writing = (async () => {
      for (const part of parts) await writeAll(transport, part);
    })();
    for (const part of parts) assertSame(await peer.read(part.length), part);
    await writing;
  });

  test("writes 8 MiB whole and leaves the bytes as they are", async ({ transport, peer }) => {
    const bytes = counted(8 * MIB);
    const [received] = await Promise.all([peer.read(bytes.length), writeAll(transport, bytes)]);
    const expected = counted(8 * MIB);
    assertSame(received, expected);
    assertSame(bytes, expected);
  });

  test("reads and writes at the same time", async ({ transport, peer }) => {
    const bytes = counted(4 * MIB);
    const reading = (async () => {
      let length = 0;
      while (length < bytes.length) length += (await transport.read())?.length ?? Infinity;
      return length;
    })();
    const [received, , length] = await Promise.all([
      peer.read(bytes.length),
      writeAll(transport, bytes),
      reading,
      peer.write(bytes),
    ]);
    assertSame(received, bytes);
    assertEquals(length, bytes.length);
  });

  test("close() wakes a pending read() with null, and can be called again", async ({ transport, peer }) => {
    const reading = transport.read();
    transport.close();
    transport.close();
    assertEquals(await reading, null);
    assertEquals(await transport.read(), null);
    transport.close();
    await peer.readToEnd();
  });

  test("close() ends the connection for the peer, after what was written", async ({ transport, peer }) => {
    await transport.write(Uint8Array.of(1, 2, 3));
    transport.close();
    assertEquals(await peer.readToEnd(), Uint8Array.of(1, 2, 3));
  });

  test("close() ends a write() that waits", async ({ transport, peer }) => {
    const writing = writeAll(transport, new Uint8Array(64 * MIB)).catch(() => {});
    await peer.read(1);
    transport.close();
    await writing;
  });

  test("write() rejects after close()", async ({ transport }) => {
    transport.close();
    await assertRejects(() => transport.write(Uint8Array.of(1)), Error);
  });

  test("write() rejects in the end when the peer has broken the connection", async ({ transport, peer }) => {
    await peer.closeRst();
    await assertRejects(async () => {
      for (;;) await transport.write(new Uint8Array(65_536));
    }, Error);
    transport.close();
  });

  test("read() ends when the peer breaks the connection", async ({ transport, peer }) => {
    const reading = transport.read().catch((error) => error);
    await peer.closeRst();
    const end = await reading;
    assert(end === null || end instanceof Error, String(end));
    transport.close();
    assertEquals(await transport.read(), null);
  });

  test("closeWrite() ends the writing", async ({ transport, peer }) => {
    if (transport.closeWrite === undefined) return;
    await transport.write(Uint8Array.of(1, 2));
    const reading = halfClose ? undefined : transport.read();
    await transport.closeWrite();
    assertEquals(await peer.readToEnd(), Uint8Array.of(1, 2));
    if (reading !== undefined) return assertEquals(await reading, null);
    await peer.write(Uint8Array.of(3));
    await peer.closeFin();
    assertEquals(await transport.read(), Uint8Array.of(3));
    assertEquals(await transport.read(), null);
  });
}

/** Gives bytes that differ from those 256 places further. */
function counted(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i + (i >> 8) + seed;
  return bytes;
}

/** Compares as `assertEquals` does, which takes long for many bytes. */
function assertSame(actual: Uint8Array, expected: Uint8Array): void {
  assertEquals(actual.length, expected.length);
  assertEquals(actual.findIndex((byte, i) => byte !== expected[i]), -1);
}
