import { ClientError, messageOf } from "../errors.ts";
import type { ApplicationMessage } from "../message.ts";
import type { Packet, PublishPacket } from "../packets.ts";
import type { PublishFlow } from "../session/flow.ts";
import type { Session } from "../session/session.ts";
import type { StoredSession } from "../stored_session.ts";
import type { OpenedSession, SessionChanges, SessionParticipant, SessionStore } from "../store/session_store.ts";
import { type FailedBatch, Journal } from "./journal.ts";

/** What is told of what is stored. */
export interface StoreListener {
  /** A packet may be sent, since what it depends on is stored. Gives how many bytes more should be, none if it is 0 or less. */
  release(packet: Packet): number;
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

/** So many packets, or bytes of payloads, may be held before no more should be sent. */
const MOST_HELD = 10_000;
const MOST_HELD_BYTES = 1024 * 1024;

/** Room for any packet, and for none, not even for what may exceed a write buffer. */
const ROOM_FOR_ANY = 1;
const ROOM_FOR_NONE = -(2 ** 30);

/**
 * So many rounds of microtasks without a change show that a turn of the event loop is over: what is settled in it has calls go on that
 * publish more, which is to go into the same write.
 */
const QUIET_ROUNDS = 8;

const ignore = () => {};

/** Stores what has changed in each turn of the event loop, and holds packets until what they depend on is stored. */
export class StoreWriter implements SessionParticipant {
  readonly #store: SessionStore;
  readonly #listener: StoreListener;
  /** Open in the store, and restored once there is a journal. */
  #opened: OpenedSession | undefined;
  #journal: Journal | undefined;
  /** While the store takes time to open it. */
  #opening: Promise<PublishFlow[]> | undefined;
  /** Whether a new session begins, and what has changed, before it is restored. */
  #clean = false;
  #early: ((journal: Journal) => void)[] = [];
  #closed = false;
  #held: Packet[] = [];
  #heldBytes = 0;
  /** Whether the connection takes more, as it said last; and whether more was refused although it does. */
  #room = true;
  #saidNo = false;
  #scheduled = false;
  #roundsLeft = 0;
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
   * Opens the session of a client in the store, when it is let go of there, and restores it, with `clean` only its publishes. Gives the flows
   * of these, or a promise where that takes time. Whatever comes of it, {@linkcode close} is to follow.
   *
   * @throws {ClientError} If the session cannot be opened or read.
   */
  open(
    clientId: string,
    session: Session,
    clean: boolean,
    letGo: Promise<void> | undefined,
  ): PublishFlow[] | Promise<PublishFlow[]> {
    this.#clean = clean;
    const restore = (stored: StoredSession) => this.#restore(stored, session);
    const begin = (opened: OpenedSession) => {
      this.#opened = opened;
      const stored = opened.read();
      return stored instanceof Promise ? stored.then(restore) : restore(stored);
    };
    const open = () => this.#store.open(clientId, this);
    try {
      const opened = letGo === undefined ? open() : letGo.then(open);
      const flows = opened instanceof Promise ? opened.then(begin) : begin(opened);
      if (!(flows instanceof Promise)) return flows;
      return this.#opening = flows.catch((error) => Promise.reject(storeError("open", error)));
    } catch (error) {
      throw storeError("open", error);
    }
  }

  #restore(stored: StoredSession, session: Session): PublishFlow[] {
    if (this.#closed) throw new ClientError("it was closed meanwhile");
    const clockOrigin = (Date.now() - performance.now()) / 1000;
    const flows = session.restore(stored, this.#clean, clockOrigin);
    this.#journal = new Journal(session, stored, clockOrigin);
    this.#opening = undefined;
    if (this.#clean) this.forget();
    for (const change of this.#early.splice(0)) this.note(change);
    return flows;
  }

  /** Whether the session is restored, so that what changes is stored. */
  get isOpen(): boolean {
    return this.#journal !== undefined;
  }

  /** Forgets what is stored beside the publishes, since a new session begins. */
  forget(): void {
    this.#clean = true;
    if (this.#journal === undefined) return;
    this.note((journal) => {
      journal.forget("received");
      journal.forget("subscriptions");
    });
  }

  /** Notes a change, to be written at the end of the turn. */
  note(change: (journal: Journal) => void): void {
    if (this.#journal === undefined) return void this.#early.push(change);
    change(this.#journal);
    this.#schedule();
  }

  /** Whether what the application does is to be held until a transaction is committed. */
  get inTransaction(): boolean {
    return this.#store.inTransaction ?? false;
  }

  /** Sends a packet when what it depends on is stored. Gives whether more should be sent, as room for any packet or for none. */
  send(packet: Packet): number {
    this.#held.push(isUnawaited(packet) ? { ...packet, payload: packet.payload.slice() } : packet);
    if (packet.type === "PUBLISH") this.#heldBytes += packet.payload.length;
    this.#schedule();
    if (this.#room && !this.#isFull) return ROOM_FOR_ANY;
    this.#saidNo = this.#room;
    return ROOM_FOR_NONE;
  }

  get #isFull(): boolean {
    return this.#held.length >= MOST_HELD || this.#heldBytes >= MOST_HELD_BYTES;
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
    if (message.qos === 2) this.#journal?.received(message.packetId);
  }

  #schedule(): void {
    this.#roundsLeft = QUIET_ROUNDS;
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(this.#run);
  }

  readonly #run = (): void => {
    if (this.#writing !== undefined) return; // It is run when that is done.
    if (!this.#isFull && this.#roundsLeft-- > 0) return queueMicrotask(this.#run);
    this.#scheduled = false;
    this.flush();
  };

  /** Writes what has changed, and sends what is held. Gives a promise where the store takes time, and if so for everything until now. */
  flush(): Promise<void> | undefined {
    if (this.inTransaction) return Promise.resolve().then(() => this.flush());
    if (this.#writing !== undefined) return this.#writing.then(() => this.flush());
    const opened = this.#opened, journal = this.#journal;
    if (opened === undefined || journal === undefined) return;
    const held = this.#takeHeld();
    try {
      const changes = journal.take();
      const writing = changes === undefined ? undefined : opened.write(changes);
      if (writing instanceof Promise) return this.#writing = this.#wait(writing, journal, held);
      journal.written();
    } catch (error) {
      this.#failed(error, journal.failed(), held);
      return;
    }
    this.#release(held);
  }

  #takeHeld(): Packet[] {
    const held = this.#held;
    this.#held = [];
    this.#heldBytes = 0;
    return held;
  }

  async #wait(writing: Promise<void>, journal: Journal, held: readonly Packet[]): Promise<void> {
    const links = this.#links;
    let failure: { error: unknown } | undefined;
    await writing.catch((error) => failure = { error });
    this.#writing = undefined;
    const sendable = links === this.#links ? held : [];
    if (failure !== undefined) this.#failed(failure.error, journal.failed(), sendable);
    else {
      journal.written();
      this.#release(sendable);
    }
    if (this.#scheduled) this.#run();
  }

  #release(held: readonly Packet[]): void {
    for (const packet of held) this.#room = this.#listener.release(packet) > 0;
    if (!this.#saidNo || !this.#room) return;
    this.#saidNo = false;
    this.#listener.released();
  }

  #failed(error: unknown, { unstored, concernsMore }: FailedBatch, held: readonly Packet[]): void {
    const reason = storeError("write to", error);
    const packetIds = new Set(unstored.map(({ packet }) => packet.packetId));
    const topics = new Map<number, string>();
    const sendable = without(packetIds, held, topics);
    // Those of a later connection too.
    this.#held = without(packetIds, this.#held, topics);
    for (const flow of unstored) this.#listener.revoke(flow, reason);
    if (concernsMore) return this.#listener.fail(reason);
    this.#release(sendable);
    // There is room in the window now.
    if (unstored.length > 0) this.#listener.sendHeld();
  }

  /** Drops the packets of a connection that is gone. */
  linkLost(): void {
    this.#takeHeld();
    this.#saidNo = false;
    this.#room = true;
    this.#links++;
  }

  /** Writes what is left, and lets go of the store. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#opening !== undefined) await this.#opening.catch(ignore);
    const flushed = this.flush();
    if (flushed !== undefined) await flushed;
    const opened = this.#opened;
    this.#opened = this.#journal = undefined;
    await opened?.close();
  }

  // The part in the store's transactions.

  changes(): SessionChanges | undefined {
    return this.#journal?.take();
  }

  committed(): void {
    this.#journal?.written();
    this.#published.length = 0;
    for (const message of this.#acknowledged.splice(0)) this.#listener.acknowledge(message);
    this.#listener.sendHeld();
  }

  rolledBack(error: unknown): void {
    const journal = this.#journal;
    if (journal === undefined) return;
    // What is not of the transaction is still to be stored.
    for (const flow of journal.failed().unstored) journal.publishChanged(flow);
    for (const { qos, packetId } of this.#acknowledged.splice(0)) {
      if (qos === 2) journal.completed(packetId);
    }
    for (const flow of this.#published.splice(0)) this.#listener.revoke(flow, error);
    this.#schedule();
  }
}

/** Whether the caller of a publish may change its payload as soon as it is handed on, since QoS 0 is over then. */
function isUnawaited(packet: Packet): packet is PublishPacket {
  return packet.type === "PUBLISH" && packet.qos === 0;
}

/**
 * Leaves the publishes with these Packet Identifiers out. A topic to which one of them was to give an alias goes with the next packet that
 * uses the alias; `topics` holds it until then.
 */
function without(packetIds: ReadonlySet<number>, packets: readonly Packet[], topics: Map<number, string>): Packet[] {
  const kept: Packet[] = [];
  for (const packet of packets) {
    if (packet.type !== "PUBLISH") {
      kept.push(packet);
      continue;
    }
    const { qos, packetId, topic, properties: { topicAlias = 0 } } = packet;
    if (qos > 0 && packetIds.has(packetId)) {
      if (topicAlias > 0 && topic !== "") topics.set(topicAlias, topic);
    } else {
      kept.push(topic === "" ? { ...packet, topic: topics.get(topicAlias) ?? "" } : packet);
      topics.delete(topicAlias);
    }
  }
  return kept;
}

function storeError(action: "open" | "write to", cause: unknown): ClientError {
  if (cause instanceof ClientError) return cause;
  return new ClientError(`Cannot ${action} the session store: ${messageOf(cause)}`, { cause });
}
