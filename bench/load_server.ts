/**
 * The other side of the benchmarks: speaks just enough MQTT 3.1.1 to let a client run at its own limit. It is no broker.
 *
 *   deno run --allow-net=127.0.0.1 bench/load_server.ts MODE [--n=N] [--size=BYTES] [--qos=Q] [--window=W] [--topics=T] [--tls=FOLDER | --ws]
 *
 * MODE is `sink` (acknowledges and counts), `firehose` (sends N messages as soon as somebody subscribes, with at most W of
 * QoS 1 or 2 not acknowledged) or `echo` (sends every message back). Prints `{"listening":PORT}`, then a line for each client that has left.
 */
import process from "node:process";
import { parseArgs } from "node:util";

export const TOPIC = "bench/site1/dev42/temp";

/** Pre-encoded PUBLISH packets are sent in chunks of about this size, in bytes. */
const CHUNK = 64 * 1024;

interface Options {
  mode: string;
  n: number;
  size: number;
  qos: number;
  window: number;
  topics: number;
}

/** A connection as the server needs it. */
interface Stream {
  /** Reads into the buffer, and gives the bytes. */
  read(): Promise<Uint8Array | null>;
  write(bytes: Uint8Array): Promise<void>;
}

/** Gives the topic of the i-th message; one topic is the usual case. */
export function topicOf(i: number, topics: number): string {
  return topics === 1 ? TOPIC : `bench/site1/dev${i % topics}/temp`;
}

/** Encodes a PUBLISH. */
export function encodePublish(topic: string, qos: number, packetId: number, size: number): Uint8Array {
  const name = new TextEncoder().encode(topic);
  let rest = 2 + name.length + (qos > 0 ? 2 : 0) + size;
  const head = [0x30 | qos << 1];
  for (; rest > 127; rest >>= 7) head.push(rest & 127 | 128);
  head.push(rest);
  head.push(name.length >> 8, name.length & 255, ...name);
  if (qos > 0) head.push(packetId >> 8, packetId & 255);
  const packet = new Uint8Array(head.length + size).fill(120);
  packet.set(head);
  return packet;
}

class Client {
  readonly #stream: Stream;
  readonly #options: Options;
  #out = new Uint8Array(CHUNK);
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();
  #partial: Uint8Array = new Uint8Array(0);
  /** Bytes of a large packet that are still to be passed over. */
  #skip = 0;
  #skipAck: [type: number, packetId: number] | undefined;
  #wake: () => void = () => {};
  #inFlight = 0;
  readonly report = { pubs: 0, sent: 0, done: 0, reads: 0, firstMs: 0, lastMs: 0, ackMs: 0, cpuMs: 0 };

  constructor(stream: Stream, options: Options) {
    this.#stream = stream;
    this.#options = options;
  }

  async serve(): Promise<void> {
    const start = process.cpuUsage();
    for (let chunk = await this.#stream.read(); chunk !== null; chunk = await this.#stream.read()) {
      this.report.reads++;
      const before = this.report.pubs, doneBefore = this.report.done;
      this.#take(chunk);
      const now = performance.timeOrigin + performance.now();
      if (this.report.pubs > before) {
        this.report.firstMs ||= now;
        this.report.lastMs = now;
      }
      if (this.report.done > doneBefore) this.report.ackMs = now;
      if (this.#filled > 0) await this.#flush();
    }
    const { user, system } = process.cpuUsage(start);
    this.report.cpuMs = (user + system) / 1000;
  }

  #take(chunk: Uint8Array): void {
    if (this.#skip > 0) {
      const length = Math.min(this.#skip, chunk.length);
      this.#skip -= length;
      if (this.#skip > 0) return;
      this.#arrived();
      chunk = chunk.subarray(length);
    }
    let bytes = chunk;
    if (this.#partial.length > 0) {
      bytes = new Uint8Array(this.#partial.length + chunk.length);
      bytes.set(this.#partial);
      bytes.set(chunk, this.#partial.length);
    }
    let at = 0;
    for (;;) {
      const left = bytes.length - at;
      if (left < 2) break;
      let rest = 0, header = 1, byte = 0;
      do byte = at + header < bytes.length ? bytes[at + header] : 0x80,
        rest |= (byte & 127) << 7 * (header - 1),
        header++; while (byte > 127 && header < 5);
      if (byte > 127) break;
      const end = at + header + rest;
      const isLargePublish = bytes[at] >> 4 === 3 && rest > 65536 && this.#options.mode !== "echo" && left > 256;
      if (end > bytes.length && !isLargePublish) break;
      this.#packet(bytes, at, at + header, end);
      if (end > bytes.length) {
        this.#skip = end - bytes.length;
        at = bytes.length;
        break;
      }
      if (this.#skipAck !== undefined) this.#arrived();
      at = end;
    }
    this.#partial = bytes.slice(at);
  }

  /** A message is here with its last byte. */
  #arrived(): void {
    this.report.pubs++;
    if (this.#skipAck !== undefined && this.#skipAck[0] > 0) this.#ack(...this.#skipAck);
    this.#skipAck = undefined;
  }

  #packet(bytes: Uint8Array, start: number, at: number, end: number): void {
    const { mode, qos } = this.#options;
    switch (bytes[start] >> 4) {
      case 1:
        return this.#send(Uint8Array.of(0x20, 2, 0, 0));
      case 3: {
        const messageQos = bytes[start] >> 1 & 3;
        const id = at + 2 + (bytes[at] << 8 | bytes[at + 1]);
        if (mode === "echo") this.#send(bytes.subarray(start, end));
        this.#skipAck = [messageQos === 0 ? 0 : messageQos === 1 ? 0x40 : 0x50, bytes[id] << 8 | bytes[id + 1]];
        return;
      }
      case 4:
        return this.#done();
      case 5:
        return this.#ack(0x62, bytes[at] << 8 | bytes[at + 1]);
      case 6:
        return this.#ack(0x70, bytes[at] << 8 | bytes[at + 1]);
      case 7:
        return this.#done();
      case 8: {
        this.#send(Uint8Array.of(0x90, 3, bytes[at], bytes[at + 1], qos));
        if (mode === "firehose") this.#flood();
        return;
      }
      case 10:
        return this.#ack(0xb0, bytes[at] << 8 | bytes[at + 1]);
      case 12:
        return this.#send(Uint8Array.of(0xd0, 0));
    }
  }

  #done(): void {
    this.report.done++;
    this.#inFlight--;
    this.#wake();
  }

  #ack(type: number, packetId: number): void {
    if (this.#filled + 4 > this.#out.length) this.#grow(4);
    const out = this.#out;
    out[this.#filled++] = type;
    out[this.#filled++] = 2;
    out[this.#filled++] = packetId >> 8;
    out[this.#filled++] = packetId;
  }

  #send(packet: Uint8Array): void {
    if (this.#filled + packet.length > this.#out.length) this.#grow(packet.length);
    this.#out.set(packet, this.#filled);
    this.#filled += packet.length;
  }

  #grow(length: number): void {
    const grown = new Uint8Array(2 * (this.#filled + length));
    grown.set(this.#out.subarray(0, this.#filled));
    this.#out = grown;
  }

  async #flush(): Promise<void> {
    const out = this.#out.slice(0, this.#filled);
    this.#filled = 0;
    await this.#write(out);
  }

  /** Writes one after the other, since answers and the flood share the connection. */
  #write(bytes: Uint8Array): Promise<void> {
    return this.#writing = this.#writing.then(() => this.#stream.write(bytes));
  }

  async #flood(): Promise<void> {
    const { n, size, qos, window, topics } = this.#options;
    await this.#flush();
    try {
      if (qos === 0) {
        const one = Array.from({ length: topics }, (_, i) => encodePublish(topicOf(i, topics), 0, 0, size));
        const per = topics === 1 ? Math.max(1, Math.floor(CHUNK / one[0].length)) : topics;
        const chunk = concat(Array.from({ length: per }, (_, i) => one[i % topics]));
        const ends = [0];
        for (let i = 0; i < per; i++) ends.push(ends[i] + one[i % topics].length);
        for (; this.report.sent < n; this.report.sent += per) {
          await this.#write(chunk.subarray(0, ends[Math.min(per, n - this.report.sent)]));
        }
        return;
      }
      const packets = Array.from({ length: topics }, (_, i) => encodePublish(topicOf(i, topics), qos, 1, size));
      let packetId = 0;
      while (this.report.sent < n) {
        const count = Math.min(
          window - this.#inFlight,
          n - this.report.sent,
          Math.max(1, Math.floor(CHUNK / packets[0].length)),
        );
        if (count <= 0) {
          await new Promise<void>((resolve) => this.#wake = resolve);
          continue;
        }
        const chunk: Uint8Array[] = [];
        for (let i = 0; i < count; i++) {
          packetId = packetId % 65535 + 1;
          const packet = packets[(this.report.sent + i) % topics].slice();
          const at = packet.length - size - 2;
          packet[at] = packetId >> 8;
          packet[at + 1] = packetId;
          chunk.push(packet);
        }
        this.#inFlight += count;
        this.report.sent += count;
        await this.#write(concat(chunk));
      }
    } catch {
      // The client has left.
    }
  }
}

function concat(parts: Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function streamOf(conn: Deno.Conn): Stream {
  const buffer = new Uint8Array(1024 * 1024);
  return {
    async read() {
      const length = await conn.read(buffer);
      return length === null ? null : buffer.subarray(0, length);
    },
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
    },
  };
}

function streamOfWebSocket(socket: WebSocket): Stream {
  socket.binaryType = "arraybuffer";
  const chunks: Uint8Array[] = [];
  let wake = () => {}, closed = false;
  const opened = new Promise((resolve) => socket.onopen = resolve);
  socket.onmessage = ({ data }) => {
    chunks.push(new Uint8Array(data));
    wake();
  };
  socket.onclose = () => {
    closed = true;
    wake();
  };
  return {
    async read() {
      while (chunks.length === 0 && !closed) await new Promise<void>((resolve) => wake = resolve);
      return chunks.shift() ?? null;
    },
    async write(bytes) {
      await opened;
      socket.send(bytes as Uint8Array<ArrayBuffer>);
      while (socket.bufferedAmount > 4 * CHUNK && !closed) await new Promise((resolve) => setTimeout(resolve, 1));
      if (closed) throw new Error("closed");
    },
  };
}

async function serve(stream: Stream, options: Options): Promise<void> {
  const client = new Client(stream, options);
  try {
    await client.serve();
  } catch {
    // Reset by the client.
  }
  console.log(JSON.stringify(client.report));
}

if (import.meta.main) {
  const { positionals: [mode], values } = parseArgs({
    args: Deno.args,
    allowPositionals: true,
    options: {
      n: { type: "string", default: "1000" },
      size: { type: "string", default: "64" },
      qos: { type: "string", default: "0" },
      window: { type: "string", default: "1000" },
      topics: { type: "string", default: "1" },
      tls: { type: "string" },
      ws: { type: "boolean", default: false },
    },
  });
  const number = (text: string) => Number(text);
  const options = {
    mode,
    n: number(values.n),
    size: number(values.size),
    qos: number(values.qos),
    window: number(values.window),
    topics: number(values.topics),
  };
  const address = { hostname: "127.0.0.1", port: 0 };
  const tell = (port: number) => console.log(JSON.stringify({ listening: port }));
  if (values.ws) {
    Deno.serve({ ...address, onListen: ({ port }) => tell(port) }, (request) => {
      const { socket, response } = Deno.upgradeWebSocket(request, { protocol: "mqtt", idleTimeout: 0 });
      serve(streamOfWebSocket(socket), options).finally(() => socket.close());
      return response;
    });
  } else {
    const listener = values.tls === undefined ? Deno.listen(address) : Deno.listenTls({
      ...address,
      cert: Deno.readTextFileSync(`${values.tls}/cert.pem`),
      key: Deno.readTextFileSync(`${values.tls}/key.pem`),
    });
    if (listener.addr.transport === "tcp") tell(listener.addr.port);
    for await (const conn of listener) {
      if ("setNoDelay" in conn && typeof conn.setNoDelay === "function") conn.setNoDelay(true);
      serve(streamOf(conn), options).finally(() => conn.close());
    }
  }
}
