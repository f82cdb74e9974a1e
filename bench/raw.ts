import type { BenchClient, ConnectSettings } from "./client.ts";
import { encodePublish, packetLength, TOPIC } from "./publish_packet.ts";
import { openLink, type RawLink } from "./raw_link.ts";

/** A connection without a client. */
export interface RawClient extends BenchClient {
  /** Publishes `n` messages that were encoded beforehand, with a part of the window in a write. */
  publishAll(n: number, size: number, qos: 0 | 1 | 2, window: number): Promise<void>;
  /** Subscribes, receives `n` messages and acknowledges them. */
  receiveAll(n: number, qos: 0 | 1 | 2): Promise<void>;
}

/** How much is written at a time without a window, in bytes. */
const CHUNK = 64 * 1024;

/** In how many parts a window is written, unless it is a small one. */
const PARTS = 8;

const PUBACK = 0x40, PUBREC = 0x50, PUBREL = 0x62, PUBCOMP = 0x70;

/** No client: bytes encoded beforehand are written, and what comes is counted, so that the limit of the runtime's connections shows. */
export async function connect({ uri, caFile }: Pick<ConnectSettings, "uri" | "caFile">): Promise<RawClient> {
  const link = await openLink(uri, caFile);
  const connack = bytesOf(link, 4);
  await link.write(Uint8Array.of(0x10, 15, 0, 4, 77, 81, 84, 84, 4, 2, 0, 60, 0, 3, 114, 97, 119));
  await connack;
  let subscribed = false;
  return {
    async publish(topic, payload, qos) {
      const packet = encodePublish(topic, qos, 1, payload.length);
      if (qos === 0 || subscribed) return await link.write(packet);
      const puback = bytesOf(link, 4);
      await link.write(packet);
      await puback;
    },
    publishAll: (n, size, qos, window) =>
      qos === 0 ? publishAll(link, n, size) : publishFlows(link, n, size, qos, window),
    async subscribe(filter, qos, onMessage) {
      const suback = bytesOf(link, 5);
      await link.write(subscribePacket(filter, qos));
      await suback;
      subscribed = true;
      let length = 0, left = 0, id = 0;
      link.onBytes = (bytes) => {
        if (length === 0) {
          length = packetLength(bytes, 0) + (qos === 0 ? 0 : 4);
          id = 4 + bytes[3];
        }
        left += bytes.length;
        if (left < length) return;
        left -= length;
        if (qos > 0) link.write(Uint8Array.of(PUBACK, 2, bytes[id], bytes[id + 1]));
        onMessage(TOPIC, bytes);
      };
    },
    async receiveAll(n, qos) {
      const all = qos === 0 ? countBytes(link, n) : answerFlows(link, n);
      await link.write(subscribePacket("#", qos));
      await all;
    },
    async end() {
      await link.write(Uint8Array.of(0xe0, 0));
      link.close();
    },
  };
}

function subscribePacket(filter: string, qos: number): Uint8Array {
  const name = new TextEncoder().encode(filter);
  return Uint8Array.of(0x82, 5 + name.length, 0, 1, 0, name.length, ...name, qos);
}

/** Waits for so many bytes, whatever they are. */
function bytesOf(link: RawLink, length: number): Promise<void> {
  return new Promise((resolve) => {
    link.onBytes = (bytes) => {
      if ((length -= bytes.length) <= 0) resolve();
    };
  });
}

async function publishAll(link: RawLink, n: number, size: number): Promise<void> {
  const packet = encodePublish(TOPIC, 0, 0, size);
  const count = Math.max(1, Math.floor(CHUNK / packet.length));
  const chunk = new Uint8Array(count * packet.length);
  for (let i = 0; i < count; i++) chunk.set(packet, i * packet.length);
  for (; n > 0; n -= count) await link.write(chunk.subarray(0, Math.min(n, count) * packet.length));
}

/** Parts of the window are under way in turn, so that there is always one to answer; what answers them comes in the same order. */
async function publishFlows(link: RawLink, n: number, size: number, qos: 1 | 2, window: number): Promise<void> {
  const { length } = encodePublish(TOPIC, qos, 1, size);
  const count = window < 100 ? 2 : PARTS;
  const most = Math.floor(window / count);
  const parts = Array.from({ length: count }, (_, part) => {
    const publishes = new Uint8Array(most * length), releases = new Uint8Array(most * 4);
    for (let i = 0; i < most; i++) {
      const id = 1 + part * most + i;
      publishes.set(encodePublish(TOPIC, qos, id, size), i * length);
      releases.set([PUBREL, 2, id >> 8, id & 255], i * 4);
    }
    return { publishes, releases };
  });
  let received = 0, wake = () => {};
  link.onBytes = (bytes) => {
    received += bytes.length;
    wake();
  };
  const expected: { part: number; count: number; released: boolean }[] = [];
  let left = n;
  const next = async (part: number) => {
    const count = Math.min(most, left);
    if (count === 0) return;
    left -= count;
    expected.push({ part, count, released: qos === 1 });
    await link.write(parts[part].publishes.subarray(0, count * length));
  };
  for (let part = 0; part < count; part++) await next(part);
  for (let answer = expected.shift(); answer !== undefined; answer = expected.shift()) {
    const { part, count, released } = answer;
    while (received < count * 4) await new Promise<void>((resolve) => wake = resolve);
    received -= count * 4;
    if (released) await next(part);
    else {
      expected.push({ part, count, released: true });
      await link.write(parts[part].releases.subarray(0, count * 4));
    }
  }
}

function countBytes(link: RawLink, n: number): Promise<void> {
  return new Promise((resolve) => {
    let suback = 5, left = 0;
    link.onBytes = (bytes) => {
      if (suback > 0) { // which arrives whole, maybe with messages behind it
        bytes = bytes.subarray(suback);
        suback = 0;
      }
      if (bytes.length === 0) return;
      if (left === 0) left = n * packetLength(bytes, 0);
      if ((left -= bytes.length) === 0) resolve();
    };
  });
}

/** Answers PUBLISH and PUBREL, all of a read in one write. */
function answerFlows(link: RawLink, n: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let partial: Uint8Array = new Uint8Array(0), done = 0, out = new Uint8Array(4096), filled = 0;
    const answer = (type: number, high: number, low: number) => {
      if (filled === out.length) {
        const grown = new Uint8Array(2 * filled);
        grown.set(out);
        out = grown;
      }
      out[filled++] = type;
      out[filled++] = 2;
      out[filled++] = high;
      out[filled++] = low;
      if (type !== PUBREC) done++;
    };
    link.onBytes = (chunk) => {
      let bytes = chunk, at = 0;
      if (partial.length > 0) {
        bytes = new Uint8Array(partial.length + chunk.length);
        bytes.set(partial);
        bytes.set(chunk, partial.length);
      }
      while (bytes.length - at >= 4) {
        const end = at + packetLength(bytes, at);
        if (end > bytes.length) break;
        const type = bytes[at] & 0xf6;
        if (type === PUBREL) answer(PUBCOMP, bytes[at + 2], bytes[at + 3]);
        else if (type !== 0x90) {
          // Remaining Length has one byte up to 127, and the topic is shorter than 256 bytes.
          const topic = at + (bytes[at + 1] > 127 ? bytes[at + 2] > 127 ? 4 : 3 : 2);
          const id = topic + 2 + bytes[topic + 1];
          answer(type === 0x32 ? PUBACK : PUBREC, bytes[id], bytes[id + 1]);
        }
        at = end;
      }
      partial = bytes.slice(at);
      if (filled === 0) return;
      const written = link.write(out.slice(0, filled));
      filled = 0;
      if (done === n) written.then(resolve, reject);
      else written.catch(reject);
    };
  });
}
