import { Decoder } from "../codec/decoder.ts";
import type { Dialect } from "../codec/dialect.ts";
import { Encoder } from "../codec/encoder.ts";
import type { Traffic } from "../observe/stats.ts";
import type { Packet } from "../packets.ts";
import type { Transport } from "../transport/transport.ts";
import { eventLoop, now } from "./waiting.ts";

/** With this many bytes collected and not written, no more should be sent. */
const HIGH_WATER = 192 * 1024;

/** A payload of this many bytes is not copied. */
const LARGE_PAYLOAD = 128 * 1024;

/** With this many bytes collected and not written, nothing more should be received: answers to it would only add to them. */
const MOST_UNSENT = 1024 * 1024;

/** The most bytes written at a time by a transport that writes all it is given, so that progress shows on a slow line. */
const LARGEST_PIECE = 256 * 1024;

/** How long writes that are done at once may follow each other before the event loop gets its turn, in seconds. */
const LONGEST_TURN = 0.01;

/** How a connection reads and writes. */
export interface ConnectionOptions {
  dialect: Dialect;
  /** The size of the largest packet to accept, in bytes. */
  maximumPacketSize: number;
  /** Whether a payload that is said to be UTF-8 is checked. */
  checkPayloadFormat: boolean;
}

/** What a connection tells. */
export interface ConnectionListener {
  /** Bytes were written; `all`: and nothing is left to be. */
  written(all: boolean): void;
  /** More may be sent, after `send()` has said none. */
  writable(): void;
  /** Nothing will be received any more. */
  closed(): void;
}

/** A Network Connection (§4.2): packets over a transport. What is sent while a write is under way goes into the next. */
export class Connection {
  readonly #transport: Transport;
  readonly #encoder: Encoder;
  readonly #decoder: Decoder;
  readonly #traffic: Traffic;
  readonly #listener: ConnectionListener;
  #writing: Promise<void> | undefined;
  #writeScheduled = false;
  #writable = true;
  #relieved: PromiseWithResolvers<void> | undefined;
  #ending = false;
  #closed = false;
  #error: unknown;
  #largestPiece = LARGEST_PIECE;

  constructor(
    transport: Transport,
    { dialect, maximumPacketSize, checkPayloadFormat }: ConnectionOptions,
    traffic: Traffic,
    listener: ConnectionListener,
  ) {
    this.#transport = transport;
    this.#encoder = new Encoder(dialect, LARGE_PAYLOAD);
    this.#decoder = new Decoder(dialect, maximumPacketSize, checkPayloadFormat);
    this.#traffic = traffic;
    this.#listener = listener;
  }

  /** What the connection broke on or was closed for. */
  get error(): unknown {
    return this.#error;
  }

  /** How large a packet the broker accepts, in bytes. */
  set maximumPacketSize(bytes: number) {
    this.#encoder.maximumPacketSize = bytes;
  }

  /** Gives the size in bytes of a packet. */
  sizeOf(packet: Packet): number {
    return this.#encoder.sizeOf(packet);
  }

  /** Whether packets may still be received. */
  get isOpen(): boolean {
    return !this.#closed && !this.#ending;
  }

  /**
   * Sends a packet with the next write. Gives how many bytes more should be sent; 0 or less: none, until `writable()`, by when the packet is
   * written. Until then its payload must not change, after a number above 0 it may.
   */
  send(packet: Packet): number {
    this.#encoder.encode(packet);
    this.#traffic.packetsSent++;
    if (packet.type === "PUBLISH") this.#traffic.messagesSent++;
    if (!this.#writeScheduled) {
      this.#writeScheduled = true;
      queueMicrotask(this.#startWriting);
    }
    const { length, borrowed } = this.#encoder;
    const room = borrowed > 0 ? Math.min(HIGH_WATER - length, 0) : HIGH_WATER - length;
    // Who was told none waits for `writable()`, even if others are told some meanwhile.
    this.#writable &&= room > 0;
    return room;
  }

  readonly #startWriting = (): void => {
    this.#writing ??= this.#write();
  };

  async #write(): Promise<void> {
    let began = now();
    try {
      while (this.#encoder.length > 0 && !this.#closed) {
        for (const chunk of this.#encoder.take()) await this.#writeChunk(chunk);
        if (now() - began > LONGEST_TURN) {
          await eventLoop();
          began = now();
        }
        this.#relieve();
        if (this.#closed) break;
        this.#listener.written(this.#encoder.length === 0);
        if (this.#writable || this.#encoder.borrowed > 0) continue;
        this.#writable = true;
        this.#listener.writable();
      }
    } catch (error) {
      this.close(error);
    }
    this.#writing = undefined;
    this.#writeScheduled = false;
  }

  async #writeChunk(chunk: Uint8Array): Promise<void> {
    for (let position = 0; position < chunk.length && !this.#closed;) {
      if (position > 0) this.#listener.written(false);
      const end = position + this.#largestPiece;
      const piece = position === 0 && end >= chunk.length ? chunk : chunk.subarray(position, end);
      const written = await this.#transport.write(piece);
      if (written === 0) throw new Error("The transport wrote nothing");
      if (written !== undefined) this.#largestPiece = Infinity;
      this.#traffic.bytesSent += written ?? piece.length;
      position += written ?? piece.length;
    }
  }

  /** Waits until everything sent is written, or the connection is closed. */
  async flush(): Promise<void> {
    while (!this.#closed && this.#encoder.length > 0) {
      this.#startWriting();
      await this.#writing;
    }
    if (!this.#closed) await this.#writing;
  }

  /** Waits while so much is unsent that nothing more should be received. */
  async relief(): Promise<void> {
    while (this.#encoder.length - this.#encoder.borrowed > MOST_UNSENT && !this.#closed) {
      this.#relieved ??= Promise.withResolvers();
      await this.#relieved.promise;
    }
  }

  #relieve(): void {
    this.#relieved?.resolve();
    this.#relieved = undefined;
  }

  /**
   * Waits for bytes. Gives whether there are any; not at the end of the connection.
   *
   * @throws If the connection broke.
   */
  async read(): Promise<boolean> {
    const chunk = await this.#transport.read(this.#decoder.room);
    if (chunk === null || this.#closed) return false;
    this.#traffic.bytesReceived += chunk.length;
    if (!this.#ending) this.#decoder.push(chunk);
    return true;
  }

  /**
   * Gives the next packet of the bytes read, `null` when there is no whole one.
   *
   * @throws {ProtocolError} If the bytes are not MQTT.
   */
  next(): Packet | null {
    if (this.#closed || this.#ending) return null;
    const packet = this.#decoder.next();
    if (packet === null) return null;
    this.#traffic.packetsReceived++;
    if (packet.type === "PUBLISH") this.#traffic.messagesReceived++;
    return packet;
  }

  /** Writes what was sent, and tells the peer that nothing more will be; what still comes from it is dropped. */
  async end(): Promise<void> {
    this.#ending = true;
    this.#listener.closed();
    await this.flush();
    try {
      if (this.#transport.closeWrite === undefined) this.close();
      else if (!this.#closed) await this.#transport.closeWrite();
    } catch (error) {
      this.close(error);
    }
  }

  /** Closes the connection; the first error counts. */
  close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#error = error;
    try {
      this.#transport.close();
    } catch (failure) {
      this.#error ??= failure;
    }
    this.#relieve();
    this.#listener.closed();
  }
}
