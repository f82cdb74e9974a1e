import { NO_BYTES } from "./writer.ts";

const encoder = new TextEncoder();

/** How many topics are remembered, before it begins anew. */
const REMEMBERED = 16_384;

/** A longer topic is not remembered, in UTF-16 units. */
const LONGEST = 128;

/** Encodes topic names, and remembers them: to encode one anew costs more than to copy it. */
export class TopicEncoder {
  #lastTopic = "";
  #lastBytes: Uint8Array = NO_BYTES;
  readonly #known = new Map<string, Uint8Array>();

  /** Gives the bytes of a topic name in UTF-8, not to be changed. */
  encode(topic: string): Uint8Array {
    if (topic === this.#lastTopic) return this.#lastBytes;
    let bytes = this.#known.get(topic);
    if (bytes === undefined) {
      bytes = encoder.encode(topic);
      if (this.#known.size === REMEMBERED) this.#known.clear();
      if (topic.length <= LONGEST) this.#known.set(topic, bytes);
    }
    this.#lastTopic = topic;
    return this.#lastBytes = bytes;
  }
}
