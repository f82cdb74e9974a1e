import { assertEquals, assertGreater, assertGreaterOrEqual, assertLess, assertLessOrEqual } from "@std/assert";
import fc from "fast-check";
import { backoff } from "../../src/shell/backoff.ts";

const DRAWS = 1000;

function draws(attempt: number, maximum: number): number[] {
  return Array.from({ length: DRAWS }, () => backoff(attempt, maximum));
}

Deno.test("backoff() doubles from 1 s with every attempt, up to the maximum", () => {
  const wholes = [1, 2, 4, 8, 10, 10, 10];
  for (const [index, whole] of wholes.entries()) {
    for (const seconds of draws(index + 1, 10)) {
      assertGreaterOrEqual(seconds, whole / 2);
      assertLessOrEqual(seconds, whole);
    }
  }
});

Deno.test("backoff() spreads over the upper half, so that a fleet does not return in step", () => {
  const seconds = draws(4, 10);
  assertLess(Math.min(...seconds), 4.5);
  assertGreater(Math.max(...seconds), 7.5);
  assertGreater(new Set(seconds).size, DRAWS / 2);
});

Deno.test("backoff() is finite and within the maximum for any attempt", () => {
  const attempt = fc.oneof(fc.integer({ min: 1, max: 2000 }), fc.constant(Number.MAX_SAFE_INTEGER));
  fc.assert(fc.property(attempt, fc.double({ min: 0, max: 1e9, noNaN: true }), (attempt, maximum) => {
    const whole = Math.min(2 ** (attempt - 1), maximum);
    const seconds = backoff(attempt, maximum);
    assertGreaterOrEqual(seconds, whole / 2);
    assertLessOrEqual(seconds, whole);
  }));
});

Deno.test("backoff() with a maximum of 0 does not wait", () => {
  assertEquals(backoff(1, 0), 0);
  assertEquals(backoff(100, 0), 0);
});

Deno.test("backoff() with a maximum below 1 s starts at the maximum", () => {
  for (const seconds of draws(1, 0.2)) {
    assertGreaterOrEqual(seconds, 0.1);
    assertLessOrEqual(seconds, 0.2);
  }
});
