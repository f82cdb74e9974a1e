/** A topic name, and the bytes it was decoded from. */
interface Entry {
  bytes: Uint8Array;
  hash: number;
  topic: string;
}

/** The table begins with so many places, and grows as it gets half full. */
const FIRST_PLACES = 64;

/** So many topics are remembered before it begins anew. */
const REMEMBERED = 16_384;

/** A topic is looked for in so many places, from that of its hash on: a broker may choose topics whose hashes collide. */
const PROBED = 8;

/** A longer topic is not remembered. */
const LONGEST = 128;

/** Remembers topic names by their bytes, since decoding and checking one costs more than comparing it. */
export class TopicCache {
  #last: Entry | undefined;
  #entries: (Entry | undefined)[] = [];
  #size = 0;

  get(bytes: Uint8Array, start: number, end: number): string | undefined {
    const last = this.#last;
    if (last !== undefined && equal(last.bytes, bytes, start, end)) return last.topic;
    if (this.#size === 0) return undefined;
    const entries = this.#entries, mask = entries.length - 1;
    const first = hash(bytes, start, end);
    for (let i = 0; i < PROBED; i++) {
      const entry = entries[first + i & mask];
      if (entry === undefined) return undefined;
      if (!equal(entry.bytes, bytes, start, end)) continue;
      this.#last = entry;
      return entry.topic;
    }
  }

  put(bytes: Uint8Array, start: number, end: number, topic: string): void {
    const length = end - start;
    if (length === 0 || length > LONGEST) return;
    if (this.#size === REMEMBERED) {
      this.#entries.fill(undefined);
      this.#size = 0;
    } else if (2 * this.#size >= this.#entries.length) this.#grow();
    this.#last = { bytes: bytes.slice(start, end), hash: hash(bytes, start, end), topic };
    this.#insert(this.#last);
    this.#size++;
  }

  #grow(): void {
    const entries = this.#entries;
    this.#entries = new Array(Math.max(FIRST_PLACES, 2 * entries.length)).fill(undefined);
    for (const entry of entries) if (entry !== undefined) this.#insert(entry);
  }

  #insert(entry: Entry): void {
    const mask = this.#entries.length - 1;
    let i = 0;
    while (i < PROBED && this.#entries[entry.hash + i & mask] !== undefined) i++;
    this.#entries[entry.hash + (i < PROBED ? i : 0) & mask] = entry;
  }
}

function equal(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  // Topics mostly differ near their end.
  for (let i = known.length - 1; i >= 0; i--) if (known[i] !== bytes[start + i]) return false;
  return true;
}

function hash(bytes: Uint8Array, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i], 0x01000193);
  return hash ^ hash >>> 16;
}
