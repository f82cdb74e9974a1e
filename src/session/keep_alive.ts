/** The parts of the configuration that keep-alive depends on, in seconds. */
export interface KeepAliveOptions {
  /** How long before the end of the Keep Alive the ping goes out; 0 turns it off. */
  pingDelay: number;
  /** How long the broker may leave a ping unanswered. */
  pingTimeout: number;
}

/** What the time has come for. */
export type KeepAliveVerdict = "wait" | "ping" | "dead";

/** How long a connection that seems dead gets for bytes to show that only this program was held up. */
const GRACE = 0.1;

/** Says when to ping and when to give the connection up (§3.1.2.10). All times are seconds of one clock that the caller reads. */
export class KeepAlive {
  readonly #options: KeepAliveOptions;
  #interval = 0; // of silence before a ping, 0: no pings
  #lastWrite = 0;
  #lastHeard = 0;
  #unanswered = 0;
  /** Since when an answer is due; `undefined` while none is. */
  #dueSince: number | undefined;
  /** How many of the unanswered pings are still in the write buffer, behind bytes that may take long; the latest ones. */
  #inBuffer = 0;
  #paused = false;
  #suspectedAt: number | undefined;

  constructor(options: KeepAliveOptions) {
    this.#options = options;
  }

  /** Starts anew on a connection whose Keep Alive is `keepAlive` seconds. */
  start(keepAlive: number, now: number): void {
    const { pingDelay } = this.#options;
    if (keepAlive === 0 || pingDelay === 0) this.#interval = 0;
    else this.#interval = keepAlive > pingDelay ? keepAlive - pingDelay : keepAlive / 2;
    this.#lastWrite = this.#lastHeard = now;
    this.#unanswered = 0;
    this.#dueSince = this.#suspectedAt = undefined;
    this.#inBuffer = 0;
    this.#paused = false;
  }

  /** Notes that bytes were written, and whether that was all there were. */
  written(now: number, all: boolean): void {
    this.#lastWrite = now;
    if (this.#inBuffer === 0) return;
    if (this.#inBuffer === this.#unanswered) {
      this.#dueSince = now;
      this.#suspectedAt = undefined;
    }
    if (all) this.#inBuffer = 0;
  }

  /** Notes that bytes have come: the peer lives, its answer may stand behind them. */
  heard(now: number): void {
    this.#lastHeard = now;
    this.#suspectedAt = undefined;
    if (this.#dueSince !== undefined) this.#dueSince = now;
  }

  pinged(now: number): void {
    this.#lastWrite = now;
    this.#unanswered++;
    this.#inBuffer++;
    this.#dueSince ??= now;
  }

  answered(): void {
    if (this.#unanswered > 0) this.#unanswered--;
    this.#inBuffer = Math.min(this.#inBuffer, this.#unanswered);
    if (this.#unanswered === 0) this.#dueSince = this.#suspectedAt = undefined;
  }

  /** Stops judging the peer while the connection is not read. */
  pause(): void {
    this.#paused = true;
  }

  resume(now: number): void {
    this.#paused = false;
    this.#suspectedAt = undefined;
    if (this.#dueSince !== undefined) this.#dueSince = now;
  }

  /** When {@linkcode check} is to be called next; infinity: not needed. */
  get deadline(): number {
    return Math.min(this.#pingDeadline, this.#answerDeadline);
  }

  get #pingDeadline(): number {
    return this.#interval === 0 ? Infinity : this.#lastWrite + this.#interval;
  }

  get #answerDeadline(): number {
    if (this.#dueSince === undefined || this.#paused) return Infinity;
    if (this.#suspectedAt !== undefined) return this.#suspectedAt + GRACE;
    return this.#dueSince + this.#options.pingTimeout;
  }

  /** Whoever writes on and on into a dead connection would never ping, but misses answers that are `owed`. */
  #isSilent(now: number, owed: boolean): boolean {
    return owed && this.#interval > 0 && this.#unanswered === 0 && now >= this.#lastHeard + this.#interval;
  }

  /** Says what to do now; `owed`: the broker has other packets than pings to answer. */
  check(now: number, owed = false): KeepAliveVerdict {
    if (now >= this.#answerDeadline) {
      if (this.#suspectedAt !== undefined) return "dead";
      // This program may have been held up for longer than the time-out, with the answer waiting to be read.
      this.#suspectedAt = now;
    }
    return now >= this.#pingDeadline || this.#isSilent(now, owed) ? "ping" : "wait";
  }
}
