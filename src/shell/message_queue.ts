import type { ApplicationMessage } from "../message.ts";
import { Queue } from "../queue.ts";
import { LONGEST_TIMER } from "../timer.ts";

/** Somebody who waits for a message. */
interface Waiter {
  /** Who may dismiss it. */
  owner?: unknown;
  settle(message: ApplicationMessage): void;
  /** Called when no message will come any more. */
  end(end: End): void;
}

/** Why no message will come any more, and whether that was asked for. */
interface End {
  error: unknown;
  regular: boolean;
}

const ignore = () => {};

/**
 * So many messages wait at the most for somebody slow, and for somebody who was, and none is left when more may come: messages that
 * outlive the youngest generation of the heap make it grow, and keep what was read with them. With fewer, the pauses show.
 */
const LIMIT_FOR_SLOW = 32;
const LIMIT_FOR_QUICK = 128;

/** Messages for whoever asks first; who asks before there is one waits. */
export class MessageQueue {
  /** How many messages make it full, and how few must be left for it to have room again. */
  #limit: number;
  #low: number;
  readonly #quickLimit: number;
  readonly #onFullness: (full: boolean) => void;
  readonly #messages = new Queue<ApplicationMessage>();
  readonly #waiters = new Set<Waiter>();
  #full = false;
  #hasBeenFull = false;
  #end: End | undefined;

  /** Takes the number of messages that make it full, and what is told when it gets full or has room again. */
  constructor(limit: number, onFullness: (full: boolean) => void) {
    this.#limit = limit;
    this.#quickLimit = Math.min(limit, LIMIT_FOR_QUICK);
    this.#low = limit >> 1;
    this.#onFullness = onFullness;
  }

  get length(): number {
    return this.#messages.length;
  }

  push(message: ApplicationMessage): void {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter);
      return waiter.settle(message);
    }
    this.#messages.push(message);
    if (!this.#full && this.#messages.length >= this.#limit) this.#setFull(true);
  }

  shift(): ApplicationMessage | undefined {
    const message = this.#messages.shift();
    // Several at once: waking the sender for every single message would cost more than the message.
    if (this.#full && this.#messages.length <= this.#low) this.#setFull(false);
    return message;
  }

  #setFull(full: boolean): void {
    this.#full = full;
    this.#hasBeenFull ||= full;
    this.#onFullness(full);
  }

  /** Makes fewer messages wait from now on, if it has been full: whoever takes them is slow. */
  slowDown(): void {
    if (!this.#hasBeenFull || this.#limit <= LIMIT_FOR_SLOW) return;
    this.#limit = LIMIT_FOR_SLOW;
    this.#low = 0;
  }

  /** Makes more wait again after {@linkcode slowDown}. */
  speedUp(): void {
    if (!this.#hasBeenFull) return;
    this.#limit = this.#quickLimit;
    this.#low = 0;
  }

  /** Waits for the next message; the queue is empty. */
  wait(waiter: Waiter): void {
    if (this.#end === undefined) this.#waiters.add(waiter);
    else waiter.end(this.#end);
  }

  /**
   * Gives the next message, after `timeout` seconds at the latest (0: at once).
   *
   * @throws {DOMException} `TimeoutError` If none has come by then.
   * @throws The signal's reason, if it aborts; what the queue ended with, if it has and is empty.
   */
  take(timeout: number | undefined, signal: AbortSignal | undefined): Promise<ApplicationMessage> {
    const message = signal?.aborted ? undefined : this.shift();
    if (message !== undefined) return Promise.resolve(message);
    const promise = new Promise<ApplicationMessage>((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const leave = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#waiters.delete(waiter);
      };
      const fail = (error: unknown) => {
        leave();
        reject(error);
      };
      const waiter: Waiter = {
        settle(message) {
          leave();
          resolve(message);
        },
        end: ({ error }) => fail(error),
      };
      const abort = () => fail(signal?.reason);
      const expire = () => fail(new DOMException(`No message came within ${timeout} s`, "TimeoutError"));
      const timed = timeout !== undefined && timeout > 0 && timeout <= LONGEST_TIMER;
      const timer = timed ? setTimeout(expire, timeout * 1000) : undefined;
      signal?.addEventListener("abort", abort);
      this.wait(waiter);
      if (timeout === 0) expire();
    });
    // Whoever has ceased to wait need not be told.
    promise.catch(ignore);
    return promise;
  }

  /** Ends the waiting of somebody who has left, so that no message goes to it. */
  dismiss(owner: unknown): void {
    for (const waiter of this.#waiters) {
      if (waiter.owner !== owner) continue;
      this.#waiters.delete(waiter);
      waiter.end({ error: undefined, regular: true });
    }
  }

  clear(): void {
    this.#messages.takeAll();
    if (this.#full) this.#setFull(false);
  }

  /** Takes messages again after {@linkcode end}. */
  reopen(): void {
    this.#end = undefined;
    if (!this.#full && this.#messages.length >= this.#limit) this.#setFull(true);
  }

  /** Ends all waiting: a regular end is one to iterators, to others it is the error. What is in the queue can still be taken. */
  end(error: unknown, regular: boolean): void {
    if (this.#end !== undefined) return;
    this.#end = { error, regular };
    if (this.#full) this.#setFull(false);
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.end(this.#end);
  }

  /** Gives an iterator over what comes; `onLeave` is called when it is left or done. */
  iterator(onLeave: () => void): AsyncIterableIterator<ApplicationMessage> {
    return new MessageIterator(this, onLeave);
  }
}

type Result = IteratorResult<ApplicationMessage, undefined>;

const DONE: Result = Object.freeze({ done: true, value: undefined });

class MessageIterator implements AsyncIterableIterator<ApplicationMessage> {
  readonly #queue: MessageQueue;
  readonly #onLeave: () => void;
  #done = false;

  constructor(queue: MessageQueue, onLeave: () => void) {
    this.#queue = queue;
    this.#onLeave = onLeave;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    if (this.#done) return Promise.resolve(DONE);
    const value = this.#queue.shift();
    if (value !== undefined) return Promise.resolve({ done: false, value });
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#queue.wait({
      owner: this,
      settle: (value) => resolve({ done: false, value }),
      end: ({ error, regular }) => {
        this.#leave();
        if (regular) return resolve(DONE);
        promise.catch(ignore);
        reject(error);
      },
    });
    return promise;
  }

  return(): Promise<Result> {
    this.#leave();
    this.#queue.dismiss(this);
    return Promise.resolve(DONE);
  }

  #leave(): void {
    if (this.#done) return;
    this.#done = true;
    this.#onLeave();
  }
}
