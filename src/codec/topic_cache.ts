/** A topic name, and the bytes it was decoded from. */
interface Entry {
  bytes: Uint8Array;
  topic: string;
}

/** How many topics are remembered; a topic that falls on another's place takes it. */
const PLACES = 1024;

/** A longer topic is not remembered. */
const LONGEST = 128;

/** Remembers topic names by their bytes, since decoding and checking one costs more than comparing it. */
export class TopicCache {
  #last: Entry | undefined;
  #entries: (Entry | undefined)[] = [];

  get(bytes: Uint8Array, start: number, end: number): string | undefined {
    const last = this.#last;
    if (last !== undefined && equal(last.bytes, bytes, start, end)) return last.topic;
    const entry = this.#entries[place(bytes, start, end)];
    if (entry === undefined || !equal(entry.bytes, bytes, start, end)) return undefined;
    this.#last = entry;
    return entry.topic;
  }

  put(bytes: Uint8Array, start: number, end: number, topic: string): void {
    const length = end - start;
    if (length === 0 || length > LONGEST) return;
    this.#last = { bytes: bytes.slice(start, end), topic };
    if (this.#entries.length === 0) this.#entries = new Array(PLACES).fill(undefined);
    this.#entries[place(bytes, start, end)] = this.#last;
  }
}

function equal(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  // Topics mostly differ near their end.
  for (let i = known.length - 1; i >= 0; i--) if (known[i] !== bytes[start + i]) return false;
  return true;
}

function place(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return (hash ^ hash >>> 16) & PLACES - 1;
}
