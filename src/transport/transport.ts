import type { Endpoint } from "../endpoint.ts";

/**
 * A network connection as a pipe of bytes; MQTT is not known to it.
 *
 * {@linkcode MQTTClient} uses the transports of this package by itself; a program that reaches its broker another way
 * gives its own, by an {@linkcode OpenTransport}.
 */
export interface Transport {
  /**
   * Waits for the next bytes, in chunks of any size.
   *
   * The chunk may be reused: it holds until the next call of `read()`.
   *
   * @param room where the bytes are wanted, if anywhere: a transport that can reads them straight there and gives that part of it; another
   * need not heed it
   * @returns the bytes, at least one, or `null` at the end of the connection, by the peer or by {@linkcode close}
   */
  read(room?: Uint8Array): Promise<Uint8Array | null>;

  /**
   * Writes `bytes`, or as many of them as can be written now. One call is under way at a time, and `bytes` is not changed before the
   * promise resolves.
   *
   * @returns how many were written, the first of them, when more may be; nothing for all. A transport that gives a number lets progress
   * be seen on a slow line, and gets `bytes` of any length; another gets 256 KiB at a time at the most
   */
  write(bytes: Uint8Array): Promise<number | void>;

  /** Closes the connection and wakes a pending `read()`. Calling it again does nothing. */
  close(): void;

  /**
   * Says that nothing more will be written, and goes on reading. It spares the peer a reset where bytes from it are still unread
   * when the connection closes; a transport that cannot do it leaves it out.
   */
  closeWrite?: (() => Promise<void>) | undefined;
}

/** What a connection is opened with. */
export interface OpenOptions {
  /** Aborts when the attempt is given up; what was opened by then is to be closed. */
  signal: AbortSignal;
}

/**
 * Opens a connection to a broker. What it throws is the `cause` of a {@linkcode ConnectError}, or the error itself if it is one.
 *
 * @param endpoint where the broker is, as its URI says
 */
export type OpenTransport = (endpoint: Endpoint, options: OpenOptions) => Promise<Transport>;
