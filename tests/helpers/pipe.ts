import type { Transport } from "../../src/transport/transport.ts";

export interface PipeOptions {
  /** How many unread bytes of one direction make `write()` wait. @default {Infinity} */
  highWaterMark?: number;
}

/** Makes two transports, each of which reads what the other writes: a network in memory. */
export function createPipe({ highWaterMark = Infinity }: PipeOptions = {}): [PipeEnd, PipeEnd] {
  const there = new Channel(highWaterMark);
  const back = new Channel(highWaterMark);
  return [new PipeEnd(back, there), new PipeEnd(there, back)];
}

/** One end of a pipe. */
export class PipeEnd implements Transport {
  readonly #incoming: Channel;
  readonly #outgoing: Channel;

  constructor(incoming: Channel, outgoing: Channel) {
    this.#incoming = incoming;
    this.#outgoing = outgoing;
  }

  /** Gives one chunk per `write()` of the other end, then `null` when that end is closed. After an own `close()`, `null`. */
  read(): Promise<Uint8Array | null> {
    return this.#incoming.take();
  }

  /** Copies the bytes. Rejects as a socket does: `BadResource` after an own close, `BrokenPipe` after the other end's. */
  write(bytes: Uint8Array): Promise<void> {
    return this.#outgoing.put(bytes);
  }

  close(): void {
    this.#incoming.abandon();
    this.#outgoing.finish();
  }

  closeWrite(): Promise<void> {
    this.#outgoing.finish();
    return Promise.resolve();
  }
}

/** One direction: chunks with a mark after which writing waits. */
class Channel {
  readonly #highWaterMark: number;
  readonly #chunks: Uint8Array[] = [];
  #size = 0;
  #state: "open" | "finished" | "abandoned" = "open";
  #reader: PromiseWithResolvers<Uint8Array | null> | undefined;
  readonly #writers: PromiseWithResolvers<void>[] = [];

  constructor(highWaterMark: number) {
    this.#highWaterMark = highWaterMark;
  }

  take(): Promise<Uint8Array | null> {
    if (this.#reader !== undefined) return Promise.reject(new Error("A read is pending already"));
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#size -= chunk.length;
      if (this.#size <= this.#highWaterMark) this.#settleWriters((writer) => writer.resolve());
      return Promise.resolve(chunk);
    }
    if (this.#state !== "open") return Promise.resolve(null);
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  async put(bytes: Uint8Array): Promise<void> {
    if (this.#state === "finished") throw new Deno.errors.BadResource("This end of the pipe is closed");
    if (this.#state === "abandoned") throw new Deno.errors.BrokenPipe("The other end of the pipe is closed");
    if (bytes.length === 0) return;
    if (this.#reader !== undefined) return this.#settleReader(bytes.slice());
    this.#chunks.push(bytes.slice());
    this.#size += bytes.length;
    if (this.#size <= this.#highWaterMark) return;
    const writer = Promise.withResolvers<void>();
    this.#writers.push(writer);
    await writer.promise;
  }

  /** The writing end is closed: what it wrote can still be read. */
  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "finished";
    this.#settleReader(null);
    this.#settleWriters((writer) => writer.resolve());
  }

  /** The reading end is closed: what it did not read is gone. */
  abandon(): void {
    if (this.#state === "open") this.#state = "abandoned";
    this.#chunks.length = 0;
    this.#size = 0;
    this.#settleReader(null);
    this.#settleWriters((writer) => writer.reject(new Deno.errors.BrokenPipe("The other end of the pipe is closed")));
  }

  #settleReader(chunk: Uint8Array | null): void {
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.resolve(chunk);
  }

  #settleWriters(settle: (writer: PromiseWithResolvers<void>) => void): void {
    this.#writers.splice(0).forEach(settle);
  }
}
