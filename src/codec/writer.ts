import { utf8Length } from "../topic.ts";

const encoder = new TextEncoder();

const FIRST_CAPACITY = 128;

/** What holds nothing, for all who begin so. */
export const NO_BYTES = new Uint8Array(0);

/** Gives how many bytes a Variable Byte Integer takes (§2.2.3). */
export function variableByteIntegerLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4;
}

/** Collects what is to be written; the buffers are used again. */
export class Writer {
  /** Where the next byte goes; for those who have reserved room and write it themselves. */
  position = 0;
  buffer: Uint8Array = NO_BYTES;
  #spare: Uint8Array = NO_BYTES;
  #start = 0; // of the bytes in the buffer that are not in #chunks yet
  #chunks: Uint8Array[] = [];
  #chunked = 0; // bytes in #chunks
  #borrowed = 0; // of them in payloads that were not copied
  readonly #largePayload: number;

  /** Takes from which size in bytes on a payload is not copied but written from where it is. */
  constructor(largePayload: number = Infinity) {
    this.#largePayload = largePayload;
  }

  /** Bytes collected and not taken. */
  get length(): number {
    return this.#chunked + this.position - this.#start;
  }

  /** How many of these bytes are in payloads that were not copied. */
  get borrowed(): number {
    return this.#borrowed;
  }

  /** Makes room for `length` bytes more. */
  reserve(length: number): void {
    const needed = this.position + length;
    if (needed <= this.buffer.length) return;
    let capacity = Math.max(FIRST_CAPACITY, this.buffer.length * 2);
    while (capacity < needed) capacity *= 2;
    const grown = new Uint8Array(capacity);
    // What #chunks holds of the old buffer stays there.
    grown.set(this.buffer.subarray(this.#start, this.position), this.#start);
    this.buffer = grown;
  }

  u8(value: number): void {
    this.reserve(1);
    this.buffer[this.position++] = value;
  }

  u16(value: number): void {
    this.reserve(2);
    this.buffer[this.position++] = value >> 8;
    this.buffer[this.position++] = value;
  }

  u32(value: number): void {
    this.u16(value >>> 16);
    this.u16(value & 0xffff);
  }

  variableByteInteger(value: number): void {
    this.reserve(4);
    while (value > 0x7f) {
      this.buffer[this.position++] = value & 0x7f | 0x80;
      value >>>= 7;
    }
    this.buffer[this.position++] = value;
  }

  /** Puts before the bytes from `start` on their number, as a Variable Byte Integer. */
  prefixLength(start: number): void {
    const length = this.position - start;
    this.reserve(4);
    this.buffer.copyWithin(start + variableByteIntegerLength(length), start, this.position);
    this.position = start;
    this.variableByteInteger(length);
    this.position += length;
  }

  /** Writes a UTF-8 Encoded String. */
  string(text: string): void {
    const length = utf8Length(text);
    this.reserve(2 + length);
    this.u16(length);
    const buffer = this.buffer;
    if (length === text.length) {
      let position = this.position;
      for (let i = 0; i < length; i++) buffer[position++] = text.charCodeAt(i);
    } else encoder.encodeInto(text, buffer.subarray(this.position));
    this.position += length;
  }

  /** Writes bytes behind a length of two bytes. */
  binary(bytes: Uint8Array): void {
    this.u16(bytes.length);
    this.raw(bytes);
  }

  /** Writes bytes as they are, copied. */
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    // A call of set() costs more than copying a few bytes.
    if (bytes.length <= 16) {
      const buffer = this.buffer;
      let position = this.position;
      for (let i = 0; i < bytes.length; i++) buffer[position++] = bytes[i];
    } else this.buffer.set(bytes, this.position);
    this.position += bytes.length;
  }

  /** Writes a payload; a large one is not copied and must not change before it is written. */
  payload(bytes: Uint8Array): void {
    if (bytes.length < this.#largePayload) return this.raw(bytes);
    this.#seal();
    this.#chunks.push(bytes);
    this.#chunked += bytes.length;
    this.#borrowed += bytes.length;
  }

  #seal(): void {
    if (this.position === this.#start) return;
    this.#chunks.push(this.buffer.subarray(this.#start, this.position));
    this.#chunked += this.position - this.#start;
    this.#start = this.position;
  }

  /** Gives all that was collected, to be written in order, and begins anew. */
  take(): Uint8Array[] {
    this.#seal();
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#chunked = this.#borrowed = 0;
    this.#start = this.position = 0;
    [this.buffer, this.#spare] = [this.#spare, this.buffer];
    return chunks;
  }
}
