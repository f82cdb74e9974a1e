import { ClientError } from "../errors.ts";
import type { ApplicationMessage } from "../message.ts";
import type { Packet } from "../packets.ts";
import type { PublishFlow } from "../session/flow.ts";
import type { Session } from "../session/session.ts";
import type { StoredSession } from "../stored_session.ts";
import type { OpenedSession, SessionChanges, SessionParticipant, SessionStore } from "../store/session_store.ts";
import { type FailedBatch, Journal } from "./journal.ts";

/** What is told of what is stored. */
export interface StoreListener {
  /** A packet may be sent, since what it depends on is stored. Gives whether more should be. */
  release(packet: Packet): boolean;
  /** More may be sent, after `send()` has said no. */
  released(): void;
  /** Nothing of the publish could be stored. */
  revoke(flow: PublishFlow, error: unknown): void;
  /** What other packets depend on could not be stored, so that the connection is of no use. */
  fail(error: unknown): void;
  /** The application acknowledges a message, within a transaction that is committed. */
  acknowledge(message: ApplicationMessage): void;
  /** Publishes that were held for a transaction may be sent. */
  sendHeld(): void;
}

/** So many packets may be held before no more should be sent. */
const MOST_HELD = 10_000;

/** Stores what has changed in each turn of the event loop, and holds packets until what they depend on is stored. */
export class StoreWriter implements SessionParticipant {
  readonly #store: SessionStore;
  readonly #listener: StoreListener;
  #opened: { session: OpenedSession; journal: Journal } | undefined;
  #held: Packet[] = [];
  /** Whether the connection takes more, as it said last; and whether more was refused although it does. */
  #room = true;
  #saidNo = false;
  #scheduled = false;
  /** Counts the connections that are gone. */
  #links = 0;
  #writing: Promise<void> | undefined;
  /** What the application has done within the transaction that is under way. */
  readonly #published: PublishFlow[] = [];
  readonly #acknowledged: ApplicationMessage[] = [];

  /** Takes the store, of which the session is not open yet, and what is told. */
  constructor(store: SessionStore, listener: StoreListener) {
    this.#store = store;
    this.#listener = listener;
  }

  /**
   * Opens the session of a client in the store and restores it, with `clean` only its publishes. Gives the flows of these, or a promise where
   * the store takes time.
   *
   * @throws {ClientError} If the session cannot be opened or read.
   */
  open(clientId: string, session: Session, clean: boolean): PublishFlow[] | Promise<PublishFlow[]> {
    const opened = this.#store.open(clientId, this);
    const begin = (opened: OpenedSession): PublishFlow[] | Promise<PublishFlow[]> => {
      const stored = opened.read();
      const restore = (stored: StoredSession) => this.#restore(opened, stored, session, clean);
      return stored instanceof Promise ? stored.then(restore) : restore(stored);
    };
    return opened instanceof Promise ? opened.then(begin) : begin(opened);
  }

  #restore(opened: OpenedSession, stored: StoredSession, session: Session, clean: boolean): PublishFlow[] {
    const clockOrigin = (Date.now() - performance.now()) / 1000;
    const flows = session.restore(stored, clean, clockOrigin);
    const journal = new Journal(session, stored, clockOrigin);
    this.#opened = { session: opened, journal };
    if (clean) this.forget();
    return flows;
  }

  /** Forgets what is stored beside the publishes, since a new session begins. */
  forget(): void {
    this.note((journal) => {
      journal.forget("received");
      journal.forget("subscriptions");
    });
  }

  /** Notes a change, to be written at the end of the turn. */
  note(change: (journal: Journal) => void): void {
    if (this.#opened === undefined) return;
    change(this.#opened.journal);
    this.#schedule();
  }

  /** Whether what the application does is to be held until a transaction is committed. */
  get inTransaction(): boolean {
    return this.#store.inTransaction ?? false;
  }

  /** Sends a packet when what it depends on is stored. Gives whether more should be sent. */
  send(packet: Packet): boolean {
    this.#held.push(packet);
    this.#schedule();
    if (this.#room && this.#held.length < MOST_HELD) return true;
    this.#saidNo = this.#room;
    return false;
  }

  /** Notes that the connection takes more. */
  writable(): void {
    this.#room = true;
  }

  /** Notes a publish of the transaction that is under way. */
  published(flow: PublishFlow): void {
    this.#published.push(flow);
  }

  /** Notes an acknowledgement in the transaction that is under way: what was processed in it must not come again. */
  acknowledged(message: ApplicationMessage): void {
    this.#acknowledged.push(message);
    if (message.qos === 2) this.#opened?.journal.received(message.packetId);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#run);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  /** Writes what has changed, and sends what is held. Gives a promise where the store takes time, and if so for everything until now. */
  flush(): Promise<void> | undefined {
    if (this.#writing !== undefined) return this.#writing.then(() => this.flush());
    if (this.#opened === undefined) return;
    const { session, journal } = this.#opened;
    const held = this.#held;
    this.#held = [];
    try {
      const changes = journal.take();
      const writing = changes === undefined ? undefined : session.write(changes);
      if (writing instanceof Promise) return this.#writing = this.#wait(writing, journal, held);
      journal.written();
    } catch (error) {
      this.#failed(error, journal.failed(), held);
      return;
    }
    this.#release(held);
  }

  async #wait(writing: Promise<void>, journal: Journal, held: readonly Packet[]): Promise<void> {
    const links = this.#links;
    try {
      await writing;
    } catch (error) {
      this.#writing = undefined;
      return this.#failed(error, journal.failed(), links === this.#links ? held : []);
    }
    this.#writing = undefined;
    journal.written();
    if (links === this.#links) this.#release(held);
  }

  #release(held: readonly Packet[]): void {
    for (const packet of held) this.#room = this.#listener.release(packet);
    if (!this.#saidNo || !this.#room) return;
    this.#saidNo = false;
    this.#listener.released();
  }

  #failed(error: unknown, { unstored, concernsMore }: FailedBatch, held: readonly Packet[]): void {
    const reason = error instanceof ClientError ? error : new ClientError("Cannot store the session", { cause: error });
    const packetIds = new Set(unstored.map(({ packet }) => packet.packetId));
    for (const flow of unstored) this.#listener.revoke(flow, reason);
    if (concernsMore) return this.#listener.fail(reason);
    this.#release(
      held.filter((packet) => packet.type !== "PUBLISH" || packet.qos === 0 || !packetIds.has(packet.packetId)),
    );
  }

  /** Drops the packets of a connection that is gone. */
  linkLost(): void {
    this.#held = [];
    this.#saidNo = false;
    this.#room = true;
    this.#links++;
  }

  /** Writes what is left, and lets go of the store. */
  async close(): Promise<void> {
    await this.flush();
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.session.close();
  }

  // The part in the store's transactions.

  changes(): SessionChanges | undefined {
    return this.#opened?.journal.take();
  }

  committed(): void {
    this.#opened?.journal.written();
    this.#published.length = 0;
    for (const message of this.#acknowledged.splice(0)) this.#listener.acknowledge(message);
    this.#listener.sendHeld();
  }

  rolledBack(error: unknown): void {
    this.#opened?.journal.failed();
    for (const { qos, packetId } of this.#acknowledged.splice(0)) {
      if (qos === 2) this.#opened?.journal.completed(packetId);
    }
    for (const flow of this.#published.splice(0)) this.#listener.revoke(flow, error);
    this.#schedule();
  }
}
