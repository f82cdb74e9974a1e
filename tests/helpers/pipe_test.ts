import { assertEquals, assertRejects } from "@std/assert";
import { createPipe } from "./pipe.ts";

Deno.test("createPipe() carries chunks both ways, in order", async () => {
  const [left, right] = createPipe();
  await left.write(Uint8Array.of(1, 2));
  await left.write(Uint8Array.of(3));
  await right.write(Uint8Array.of(4));
  assertEquals(await right.read(), Uint8Array.of(1, 2));
  assertEquals(await right.read(), Uint8Array.of(3));
  assertEquals(await left.read(), Uint8Array.of(4));
});

Deno.test("PipeEnd.write() wakes a pending read and copies the bytes", async () => {
  const [left, right] = createPipe();
  const reading = right.read();
  const bytes = Uint8Array.of(1);
  await left.write(bytes);
  bytes[0] = 9;
  assertEquals(await reading, Uint8Array.of(1));
});

Deno.test("PipeEnd.close() wakes the own pending read with null, and may be called twice", async () => {
  const [left] = createPipe();
  const reading = left.read();
  left.close();
  left.close();
  assertEquals(await reading, null);
  assertEquals(await left.read(), null);
  await assertRejects(() => left.write(Uint8Array.of(1)), Deno.errors.BadResource);
});

Deno.test("PipeEnd.close() leaves the other end what was written, then null", async () => {
  const [left, right] = createPipe();
  await left.write(Uint8Array.of(1));
  left.close();
  assertEquals(await right.read(), Uint8Array.of(1));
  assertEquals(await right.read(), null);
  assertEquals(await right.read(), null);
  await assertRejects(() => right.write(Uint8Array.of(1)), Deno.errors.BrokenPipe);
});

Deno.test("PipeEnd.close() wakes the other end's pending read with null", async () => {
  const [left, right] = createPipe();
  const reading = right.read();
  left.close();
  assertEquals(await reading, null);
});

Deno.test("PipeEnd.closeWrite() ends one direction only", async () => {
  const [left, right] = createPipe();
  await left.closeWrite();
  assertEquals(await right.read(), null);
  await right.write(Uint8Array.of(5));
  assertEquals(await left.read(), Uint8Array.of(5));
});

Deno.test("PipeEnd.write() waits above the high-water mark until enough is read", async () => {
  const [left, right] = createPipe({ highWaterMark: 2 });
  await left.write(Uint8Array.of(1, 2));
  let written = false;
  const writing = left.write(Uint8Array.of(3)).then(() => written = true);
  await Promise.resolve();
  assertEquals(written, false);
  await right.read();
  await writing;
});

Deno.test("PipeEnd.write() that waits rejects when the other end closes", async () => {
  const [left, right] = createPipe({ highWaterMark: 0 });
  const writing = left.write(Uint8Array.of(1));
  right.close();
  await assertRejects(() => writing, Deno.errors.BrokenPipe);
});
