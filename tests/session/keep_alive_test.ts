import { assertAlmostEquals, assertEquals } from "@std/assert";
import { KeepAlive } from "../../src/session/keep_alive.ts";

const start = (keepAlive: number, pingDelay = 1, pingTimeout = 10) => {
  const it = new KeepAlive({ pingDelay, pingTimeout });
  it.start(keepAlive, 0);
  return it;
};

/** Pings as a session does, with the PINGREQ written at once. */
const ping = (it: KeepAlive, now: number) => {
  it.pinged(now);
  it.written(now, true);
};

// When to ping.

Deno.test("KeepAlive asks for a ping after keep_alive - ping_delay seconds without writing", () => {
  const it = start(10);
  assertEquals(it.deadline, 9);
  assertEquals(it.check(8.999), "wait");
  assertEquals(it.check(9), "ping");
});

Deno.test("KeepAlive asks for a ping after half of the keep alive where keep_alive - ping_delay is not positive", () => {
  const table: [keepAlive: number, pingDelay: number, interval: number][] = [
    [10, 1, 9],
    [60, 5.5, 54.5],
    [2, 1, 1],
    [1, 1, 0.5],
    [1, 10, 0.5],
    [10, 10, 5],
    [1, 0.25, 0.75],
    [65_535, 1, 65_534],
  ];
  for (const [keepAlive, pingDelay, interval] of table) assertEquals(start(keepAlive, pingDelay).deadline, interval);
});

Deno.test("KeepAlive asks for nothing when keep_alive is 0, or ping_delay is", () => {
  for (const it of [start(0), start(10, 0), start(0, 0)]) {
    assertEquals(it.deadline, Infinity);
    assertEquals(it.check(1e9), "wait");
  }
});

Deno.test("KeepAlive waits anew after each write, and not after what is read", () => {
  const it = start(10);
  it.written(5, true);
  assertEquals(it.deadline, 14);
  it.heard(13);
  assertEquals(it.deadline, 14);
  it.written(13.5, false);
  assertEquals(it.deadline, 22.5);
});

Deno.test("KeepAlive asks for a ping in spite of writing when answers are owed and nothing is heard", () => {
  const it = start(10);
  it.heard(2);
  it.written(10, true);
  assertEquals(it.check(10.9, true), "wait");
  assertEquals(it.check(11, false), "wait");
  assertEquals(it.check(11, true), "ping");
  ping(it, 11);
  it.written(19, true);
  assertEquals(it.check(20.9, true), "wait", "one is on its way");
  it.heard(20.9);
  it.answered();
  assertEquals(it.check(25, true), "wait");
  for (const off of [start(0), start(10, 0)]) assertEquals(off.check(1e9, true), "wait");
});

Deno.test("KeepAlive waits anew after a ping", () => {
  const it = start(10, 1, 100);
  ping(it, 9);
  assertEquals(it.deadline, 18);
});

Deno.test("KeepAlive.start() forgets the connection before", () => {
  const it = start(10);
  ping(it, 9);
  it.check(19);
  it.pause();
  it.start(20, 30);
  assertEquals(it.deadline, 49);
  assertEquals(it.check(48), "wait");
});

// When to give up.

Deno.test("KeepAlive finds the connection dead ping_timeout and a moment after a ping without an answer", () => {
  const it = start(60, 1, 10);
  ping(it, 59);
  assertEquals(it.deadline, 69);
  assertEquals(it.check(68.9), "wait");
  assertEquals(it.check(69), "wait", "the answer may wait to be read");
  assertAlmostEquals(it.deadline, 69.1);
  assertEquals(it.check(69.05), "wait");
  assertEquals(it.check(69.11), "dead");
});

Deno.test("KeepAlive finds the connection dead though pings go on meanwhile, whatever the configuration", () => {
  const table = [[10, 1, 10], [10, 1, 30], [2, 1, 10], [60, 1, 10], [1, 0.5, 0.2], [5, 4, 20]];
  for (const [keepAlive, pingDelay, pingTimeout] of table) {
    const it = start(keepAlive, pingDelay, pingTimeout);
    const first = it.deadline;
    let now = 0, verdict = "wait";
    for (let i = 0; i < 1000 && verdict !== "dead"; i++) {
      now = it.deadline;
      verdict = it.check(now);
      if (verdict === "ping") ping(it, now);
    }
    assertEquals(verdict, "dead", `keep_alive ${keepAlive}, ping_delay ${pingDelay}, ping_timeout ${pingTimeout}`);
    assertAlmostEquals(now, first + pingTimeout + 0.1, 1e-6);
  }
});

Deno.test("KeepAlive lives on while every ping is answered", () => {
  const it = start(10);
  for (let now = 9; now < 1000; now += 9) {
    assertEquals(it.check(now), "ping");
    ping(it, now);
    it.heard(now + 0.1);
    it.answered();
    assertEquals(it.deadline, now + 9);
  }
});

Deno.test("KeepAlive waits for the answer of each ping", () => {
  const it = start(10, 1, 10);
  ping(it, 9);
  ping(it, 10);
  it.heard(12);
  it.answered();
  it.written(17, true);
  assertEquals(it.check(22), "wait");
  assertEquals(it.check(22.2), "dead");
});

Deno.test("KeepAlive takes whatever arrives as a sign of life", () => {
  const it = start(60, 1, 10);
  ping(it, 59);
  for (let now = 60; now < 110; now += 5) {
    it.heard(now);
    assertEquals(it.check(now + 4.9), "wait");
  }
});

Deno.test("KeepAlive takes an answer that nobody asked for", () => {
  const it = start(10);
  it.answered();
  ping(it, 9);
  assertEquals(it.check(19), "ping");
  assertEquals(it.check(19.2), "dead");
});

Deno.test("KeepAlive notices an unanswered ping though pings are not made by itself", () => {
  const it = start(0);
  ping(it, 100);
  assertEquals(it.deadline, 110);
  it.check(110);
  assertEquals(it.check(110.2), "dead");
});

// When not to give up.

Deno.test("KeepAlive looks for bytes before it judges, when this program itself was held up", () => {
  const it = start(60, 1, 10);
  ping(it, 59);
  assertEquals(it.check(500), "ping"); // the timer comes first, late
  it.heard(500.01); // then what was waiting is read
  it.answered();
  ping(it, 500.02);
  assertEquals(it.check(505), "wait");
  assertEquals(it.check(510.02), "wait");
  assertEquals(it.check(510.2), "dead");
});

Deno.test("KeepAlive forgets its suspicion when anything arrives", () => {
  const it = start(60, 1, 10);
  ping(it, 59);
  it.check(69);
  it.heard(69.05);
  assertEquals(it.check(69.2), "wait");
  assertEquals(it.check(79.04), "wait");
  it.check(79.05);
  assertEquals(it.check(79.2), "dead");
});

Deno.test("KeepAlive lets a ping wait in a buffer that is never empty, though an earlier one was answered", () => {
  const it = start(60, 1, 10);
  it.pinged(10);
  it.written(11, false);
  it.heard(12);
  it.answered();
  it.pinged(20);
  it.written(29, false);
  assertEquals(it.check(30.2), "wait");
  assertEquals(it.check(38.9), "wait");
});

Deno.test("KeepAlive does not judge while the connection is not read, and gives a full time-out afterwards", () => {
  const it = start(60, 1, 10);
  ping(it, 59);
  it.pause();
  assertEquals(it.check(1000), "ping", "pings go on");
  it.resume(1000);
  assertEquals(it.check(1009.9), "ping");
  it.check(1010);
  assertEquals(it.check(1010.2), "dead");
});

Deno.test("KeepAlive forgets its suspicion when the reading pauses", () => {
  const it = start(60, 1, 10);
  ping(it, 59);
  it.check(69);
  it.pause();
  it.resume(70);
  it.check(75);
  assertEquals(it.check(79.9), "wait");
});

Deno.test("KeepAlive does not judge a ping that waits behind a slow upload, as long as that goes on", () => {
  const it = start(60, 1, 10);
  it.pinged(10);
  for (let now = 12; now < 200; now += 9) {
    it.written(now, false);
    assertEquals(it.check(now + 8.9), "wait");
  }
  it.written(201, true);
  assertEquals(it.check(210.9), "wait");
  assertEquals(it.check(211), "wait");
  assertEquals(it.check(211.2), "dead");
});

Deno.test("KeepAlive forgets its suspicion when the upload before the ping goes on", () => {
  const it = start(60, 1, 10);
  it.pinged(10);
  it.check(20);
  it.written(20.05, false);
  assertEquals(it.check(20.2), "wait");
  assertEquals(it.check(30), "wait");
});

Deno.test("KeepAlive gives up a ping behind an upload that stands still", () => {
  const it = start(60, 1, 10);
  it.pinged(10);
  it.written(15, false);
  it.check(25);
  assertEquals(it.check(25.2), "dead");
});

Deno.test("KeepAlive is not put off by a ping in the buffer when an earlier one was written long ago", () => {
  const it = start(10, 1, 20);
  ping(it, 9);
  it.pinged(18);
  it.written(20, false);
  it.written(25, true);
  assertEquals(it.check(28.9), "wait");
  it.check(29);
  assertEquals(it.check(29.2), "dead");
});

Deno.test("KeepAlive lets the second ping wait in the buffer after the first is answered", () => {
  const it = start(60, 1, 10);
  ping(it, 0);
  it.pinged(1);
  it.heard(2);
  it.answered();
  it.written(11, false);
  assertEquals(it.check(12.5), "wait");
  assertEquals(it.check(20.9), "wait");
});
