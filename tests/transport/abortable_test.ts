import { assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { abortable } from "../../src/transport/abortable.ts";

class Conn {
  closed = 0;

  close(): void {
    this.closed++;
  }
}

Deno.test("abortable() gives the connection, which the signal closes no more then", async () => {
  const controller = new AbortController(), conn = new Conn();
  assertStrictEquals(await abortable(Promise.resolve(conn), controller.signal), conn);
  controller.abort();
  await Promise.resolve();
  assertEquals(conn.closed, 0);
});

Deno.test("abortable() rejects with what the connecting rejects with", async () => {
  const { signal } = new AbortController();
  await assertRejects(() => abortable(Promise.reject(new RangeError("refused")), signal), RangeError, "refused");
});

Deno.test("abortable() rejects with the reason when the signal aborts, and closes the connection that is late", async () => {
  const controller = new AbortController(), conn = new Conn();
  const { promise: connecting, resolve } = Promise.withResolvers<Conn>();
  const waiting = abortable(connecting, controller.signal);
  controller.abort(new RangeError("enough"));
  await assertRejects(() => waiting, RangeError, "enough");
  resolve(conn);
  await connecting;
  await Promise.resolve();
  assertEquals(conn.closed, 1);
});

Deno.test("abortable() rejects with the reason of a signal that has aborted before, and closes the connection", async () => {
  const conn = new Conn(), { promise: connecting, resolve } = Promise.withResolvers<Conn>();
  const waiting = abortable(connecting, AbortSignal.abort(new RangeError("enough")));
  resolve(conn);
  await assertRejects(() => waiting, RangeError, "enough");
  assertEquals(conn.closed, 1);
});

Deno.test("abortable() leaves no rejection behind when the connecting fails after the abort", async () => {
  const controller = new AbortController();
  const { promise: connecting, reject } = Promise.withResolvers<Conn>();
  const waiting = abortable(connecting, controller.signal);
  controller.abort(new RangeError("enough"));
  await assertRejects(() => waiting, RangeError, "enough");
  reject(new Error("too late"));
  await assertRejects(() => connecting, Error, "too late");
});
