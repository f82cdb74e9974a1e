/**
 * The other side of the benchmarks: speaks just enough MQTT 3.1.1 and 5.0 to let a client run at its own limit. It is no broker.
 *
 *   deno run --allow-net=127.0.0.1 bench/load_server.ts MODE [--n=N] [--size=BYTES] [--qos=Q] [--window=W] [--topics=T] [--hold=H] [--tls=FOLDER | --ws]
 *
 * MODE is one of
 * - `sink`: acknowledges and counts; the first H publishes of each client are never acknowledged
 * - `firehose`: sends N messages as soon as somebody subscribes, with at most W of QoS 1 or 2 not acknowledged
 * - `echo`: sends every message back
 * - `mute`: reads nothing after SUBSCRIBE
 * - `announce`: answers SUBSCRIBE with the beginning of a message of 256 MiB, and sends no more of it
 *
 * Prints `{"listening":PORT}`, then a line for each client that has left.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { encodePublish, MQTT_5_0, topicOf } from "./publish_packet.ts";

/** Packets encoded beforehand are sent in chunks of about this size, in bytes. */
const CHUNK = 64 * 1024;
const LARGEST_BUFFER = 1024 * 1024;

export type Mode = "sink" | "firehose" | "echo" | "mute" | "announce";

/** What a client has done, times in milliseconds since the epoch. */
export interface Report {
  /** PUBLISH packets received. */
  pubs: number;
  /** PUBLISH packets sent. */
  sent: number;
  /** Flows of sent messages that were completed. */
  done: number;
  /** When the last PUBLISH came, and the last acknowledgement. */
  lastMs: number;
  ackMs: number;
  /** What the client has cost the server, in milliseconds of CPU time. */
  cpuMs: number;
}

interface Options {
  mode: Mode;
  n: number;
  size: number;
  qos: 0 | 1 | 2;
  window: number;
  topics: number;
  hold: number;
}

/** A connection as the server needs it. */
interface Stream {
  /** Gives bytes that stay as they are until the next read. */
  read(): Promise<Uint8Array | null>;
  write(bytes: Uint8Array): Promise<void>;
}

class Client {
  readonly #stream: Stream;
  readonly #options: Options;
  #level = 4;
  #out = new Uint8Array(256);
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();
  #partial: Uint8Array = new Uint8Array(0);
  /** Bytes of a large packet that are still to be passed over. */
  #skip = 0;
  #skipAck: [type: number, packetId: number] | undefined;
  #wake: () => void = () => {};
  #inFlight = 0;
  #deaf = false;
  readonly report: Report = { pubs: 0, sent: 0, done: 0, lastMs: 0, ackMs: 0, cpuMs: 0 };

  constructor(stream: Stream, options: Options) {
    this.#stream = stream;
    this.#options = options;
  }

  async serve(): Promise<void> {
    const start = process.cpuUsage();
    for (let chunk = await this.#stream.read(); chunk !== null; chunk = await this.#stream.read()) {
      const { pubs, done } = this.report;
      this.#take(chunk);
      const now = performance.timeOrigin + performance.now();
      if (this.report.pubs > pubs) this.report.lastMs = now;
      if (this.report.done > done) {
        this.report.ackMs = now;
        this.#wake();
      }
      if (this.#filled > 0) await this.#flush();
      if (this.#deaf) await new Promise(() => {});
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
    let at = this.#options.mode === "sink" ? this.#countSmall(bytes) : 0;
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

  /** Passes over small publishes of QoS 0 at the beginning, with as little as can be done for each. */
  #countSmall(bytes: Uint8Array): number {
    let at = 0, count = 0;
    while (at + 1 < bytes.length && bytes[at] === 0x30 && bytes[at + 1] < 128) {
      const end = at + 2 + bytes[at + 1];
      if (end > bytes.length) break;
      at = end;
      count++;
    }
    this.report.pubs += count;
    return at;
  }

  /** A message is here with its last byte. */
  #arrived(): void {
    const isHeld = ++this.report.pubs <= this.#options.hold;
    if (this.#skipAck !== undefined && this.#skipAck[0] > 0 && !isHeld) this.#ack(...this.#skipAck);
    this.#skipAck = undefined;
  }

  #packet(bytes: Uint8Array, start: number, at: number, end: number): void {
    const { mode } = this.#options;
    switch (bytes[start] >> 4) {
      case 1:
        this.#level = bytes[at + 6];
        return this.#send(this.#level === MQTT_5_0 ? Uint8Array.of(0x20, 3, 0, 0, 0) : Uint8Array.of(0x20, 2, 0, 0));
      case 3: {
        const qos = bytes[start] >> 1 & 3;
        const id = at + 2 + (bytes[at] << 8 | bytes[at + 1]);
        if (mode === "echo") this.#send(bytes.subarray(start, end));
        this.#skipAck = [[0, 0x40, 0x50][qos], bytes[id] << 8 | bytes[id + 1]];
        return;
      }
      case 4:
      case 7:
        this.report.done++;
        this.#inFlight--;
        return;
      case 5:
        return this.#ack(0x62, bytes[at] << 8 | bytes[at + 1]);
      case 6:
        return this.#ack(0x70, bytes[at] << 8 | bytes[at + 1]);
      case 8:
        return this.#subscribed(bytes.subarray(at, end));
      case 12:
        return this.#send(Uint8Array.of(0xd0, 0));
    }
  }

  /** Answers SUBSCRIBE, and does what the mode does next. */
  #subscribed(body: Uint8Array): void {
    const { mode, qos } = this.#options;
    const properties = this.#level === MQTT_5_0 ? [0] : [];
    const codes: number[] = [];
    for (let at = 2 + properties.length; at < body.length;) {
      at += 2 + (body[at] << 8 | body[at + 1]) + 1;
      codes.push(qos);
    }
    const rest = [body[0], body[1], ...properties, ...codes];
    this.#send(Uint8Array.of(0x90, ...variableByteInteger(rest.length), ...rest));
    if (mode === "firehose") this.#flood();
    if (mode === "mute") this.#deaf = true;
    if (mode === "announce") this.#send(Uint8Array.of(0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 116));
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

  /** Sends N messages out of a ring that was encoded beforehand: no identifier in it is used again before the window has passed it. */
  async #flood(): Promise<void> {
    const { n, size, qos, window, topics } = this.#options;
    const { length } = encodePublish(topicOf(0, topics), qos, 1, size, this.#level);
    const atOnce = Math.max(1, Math.floor(CHUNK / length));
    const ringSize = topics * Math.ceil((qos === 0 ? atOnce : Math.min(window, n)) / topics);
    const ends = [0];
    const packets = Array.from({ length: ringSize }, (_, i) => {
      const packet = encodePublish(topicOf(i, topics), qos, i + 1, size, this.#level);
      ends.push(ends[i] + packet.length);
      return packet;
    });
    const ring = concat(packets, ends[ringSize]);
    await this.#flush();
    try {
      while (this.report.sent < n) {
        const from = this.report.sent % ringSize;
        const room = qos === 0 ? atOnce : Math.min(atOnce, window - this.#inFlight);
        const to = Math.min(from + room, ringSize, from + n - this.report.sent);
        if (to <= from) {
          await new Promise<void>((resolve) => this.#wake = resolve);
          continue;
        }
        this.#inFlight += to - from;
        this.report.sent += to - from;
        await this.#write(ring.subarray(ends[from], ends[to]));
      }
    } catch {
      // The client has left.
    }
  }
}

function variableByteInteger(value: number): number[] {
  const bytes = [];
  for (; value > 127; value >>= 7) bytes.push(value & 127 | 128);
  return [...bytes, value];
}

function concat(parts: readonly Uint8Array[], length: number): Uint8Array {
  const all = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function streamOf(conn: Deno.Conn): Stream {
  let buffer = new Uint8Array(4096);
  return {
    async read() {
      const length = await conn.read(buffer);
      if (length === null) return null;
      const bytes = buffer.subarray(0, length);
      if (length === buffer.length && length < LARGEST_BUFFER) buffer = new Uint8Array(4 * length);
      return bytes;
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
      while (socket.bufferedAmount > 16 * CHUNK && !closed) await new Promise((resolve) => setTimeout(resolve, 1));
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
      hold: { type: "string", default: "0" },
      tls: { type: "string" },
      ws: { type: "boolean", default: false },
    },
  });
  const options: Options = {
    mode: mode as Mode,
    n: Number(values.n),
    size: Number(values.size),
    qos: Number(values.qos) as Options["qos"],
    window: Number(values.window),
    topics: Number(values.topics),
    hold: Number(values.hold),
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
