import type { StoredPublish, StoredPublishProgress, StoredSession, StoredSubscription } from "../stored_session.ts";

/** A part of a session that can be forgotten as a whole. */
export type StoredPart = "publishes" | "received" | "subscriptions";

/**
 * What has changed in a session since the last time: the difference only, so that nothing is in two lists but for what is forgotten or
 * removed and added anew. They are to be applied in the order in which they are listed here.
 */
export interface SessionChanges {
  /** Parts of which all that is stored is to be forgotten. */
  forgotten: readonly StoredPart[];
  /** The `id`s of publishes that are settled. */
  removed: readonly number[];
  /** New publishes, by ascending `id`. */
  added: readonly StoredPublish[];
  /** Stored publishes that have come further. */
  updated: readonly StoredPublishProgress[];
  /** Packet Identifiers of received QoS 2 messages whose PUBREL has come. */
  completed: readonly number[];
  /** Packet Identifiers of newly received QoS 2 messages. */
  received: readonly number[];
  /** The topic filters of subscriptions that have ended. */
  unsubscribed: readonly string[];
  /** Subscriptions that the broker has granted. */
  subscribed: readonly StoredSubscription[];
  /** The Packet Identifier that was given out last; `undefined`: no other than before. */
  lastPacketId?: number | undefined;
}

/** The session of one client in a store, open for that client alone. */
export interface OpenedSession {
  /** Gives what is stored; an empty session if there is nothing. Whoever reads it does not change its payloads and properties. */
  read(): StoredSession | Promise<StoredSession>;

  /**
   * Stores changes: all of them, or none if it throws. What depends on them is held until it has returned or resolved. It is called for one
   * batch at a time. The arrays are the callee's own. Payloads and properties are the application's, which may change them as soon as its
   * publish has settled, by `disconnect()` for instance: a store that keeps them in memory keeps copies.
   *
   * @throws {ClientError} If they cannot be stored; what is new among them is then not sent.
   */
  write(changes: SessionChanges): void | Promise<void>;

  /** Lets go of the session, so that it can be opened again; what is stored stays. Does nothing the second time. */
  close(): void | Promise<void>;
}

/** The client's part in a store's transactions; all of it is called by the store, synchronously. */
export interface SessionParticipant {
  /** Gives what has changed since it was asked last or since the last `write()`, to be stored; `undefined`: nothing. */
  changes(): SessionChanges | undefined;

  /** Says that all that `changes()` has given is stored: what depends on it may be sent. */
  committed(): void;

  /** Says that what has changed since the last `committed()` or `write()` is not stored and will not be, and why. */
  rolledBack(error: unknown): void;
}

/**
 * Where sessions outlive their client: publishes that are not settled, identifiers of received QoS 2 messages, and subscriptions. A client
 * without a store keeps them in memory, for its own lifetime.
 *
 * There are two of them, {@linkcode SqliteSessionStore} and {@linkcode MemorySessionStore}, and anything that has this one method is a third.
 * A client writes once for each turn of the event loop in which something changes, and before a byte is sent that depends on it.
 *
 * @see MQTT 3.1.1, §4.1
 */
export interface SessionStore {
  /**
   * Whether a transaction is under way: what a client does now is stored when the transaction is committed, by way of its
   * {@linkcode SessionParticipant}, and not to be written otherwise. Absent where a store has no transactions.
   */
  readonly inTransaction?: boolean | undefined;

  /**
   * Opens the session of a client, for it alone.
   *
   * @param clientId the Client Identifier; any string, the empty one too
   * @param participant the client's part in transactions; a store that has none leaves it alone
   * @throws {ClientError} If the session is open already, or cannot be opened.
   */
  open(clientId: string, participant?: SessionParticipant): OpenedSession | Promise<OpenedSession>;
}
