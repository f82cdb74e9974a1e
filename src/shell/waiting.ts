import type { Waiter } from "../session/flow.ts";
import { LONGEST_TIMER } from "../timer.ts";

const ignore = () => {};

/** How long an aborted attempt has to be over, in seconds. */
const ABORT_GRACE = 0.1;

/** The time of a clock that is never set, in seconds. */
export function now(): number {
  return performance.now() / 1000;
}

/** Lets the event loop turn, so that timers and other connections get theirs; a timer would take milliseconds. */
export async function eventLoop(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  await new Promise((resolve) => {
    port1.onmessage = resolve;
    port2.postMessage(undefined);
  });
  port1.close();
  port2.close();
}

/** Hands on an outcome by a promise. Whoever drops it gets no unhandled rejection. */
export class PromiseWaiter<Result> implements Waiter<Result> {
  readonly promise: Promise<Result>;
  settle!: (result: Result) => void;
  #reject!: (error: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.settle = resolve;
      this.#reject = reject;
    });
  }

  fail(error: unknown): void {
    this.promise.catch(ignore);
    this.#reject(error);
  }
}

/** Waits for the first of the promises, but not longer than so many seconds. */
export async function within(seconds: number, promises: Promise<unknown>[]): Promise<void> {
  const { promise: expired, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.min(seconds, LONGEST_TIMER) * 1000);
  await Promise.race([expired, ...promises]);
  clearTimeout(timer);
}

/** Waits for a promise, if there is one, but not beyond a time of the clock {@linkcode now}. */
export async function before(deadline: number, promise: Promise<unknown> | undefined): Promise<void> {
  if (promise !== undefined) await within(Math.max(deadline - now(), 0), [promise]);
}

/** Waits until the signal aborts; a result that comes too late is disposed of. */
export async function unlessAborted<Result>(
  signal: AbortSignal,
  work: Result | Promise<Result>,
  dispose: (late: Result) => void = ignore,
): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  // What heeds the signal is over at once; what does not is not waited for.
  const abort = () => {
    const over = Promise.resolve(work).then(dispose).catch(ignore);
    within(ABORT_GRACE, [over]).then(() => reject(signal.reason));
  };
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort);
  Promise.resolve(work).then(resolve, reject);
  try {
    const result = await promise;
    signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
