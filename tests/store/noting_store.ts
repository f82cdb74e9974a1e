import { MemorySessionStore } from "../../src/store/memory_session_store.ts";
import type { OpenedSession, SessionChanges, SessionStore } from "../../src/store/session_store.ts";
import type { StoredPublish, StoredSession } from "../../src/stored_session.ts";

/** What a store does that may fail. */
export type StoreAction = "open" | "read" | "write" | "close";

/** Keeps sessions in memory, notes what is written, and fails and takes its time as it is told to. */
export class NotingStore implements SessionStore {
  readonly #sessions = new MemorySessionStore();
  readonly #open = new Map<string, OpenedSession>();
  readonly #async: boolean;
  readonly #failures = new Map<StoreAction, unknown>();
  #flowing: Promise<void> = Promise.resolve();
  #flow = () => {};
  #log: string[] = [];
  /** Called as each write begins. */
  onWrite: () => void = () => {};

  constructor(kind: "sync" | "async" = "sync") {
    this.#async = kind === "async";
  }

  /** How many sessions are open. */
  get openSessions(): number {
    return this.#open.size;
  }

  /** Lets an action fail until it is told `undefined`. */
  fail(action: StoreAction, error: unknown): void {
    if (error === undefined) this.#failures.delete(action);
    else this.#failures.set(action, error);
  }

  /** Lets everything that is async wait until {@linkcode resume}. */
  stall(): void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#flowing = promise;
    this.#flow = resolve;
  }

  resume(): void {
    this.#flow();
  }

  /** Notes what happens besides. */
  note(text: string): void {
    this.#log.push(text);
  }

  /** Gives what was noted since the last call: each write, in words. */
  take(): string[] {
    const log = this.#log;
    this.#log = [];
    return log;
  }

  /** Gives what is stored. */
  stored(clientId = "id"): StoredSession {
    const opened = this.#open.get(clientId) ?? this.#sessions.open(clientId);
    const stored = opened.read();
    if (!this.#open.has(clientId)) opened.close();
    if (stored instanceof Promise) throw new TypeError("A store in memory gives it at once");
    return stored;
  }

  /** Gives the publishes that are stored, in words. */
  publishes(clientId = "id"): string[] {
    return this.stored(clientId).publishes.map(publishText);
  }

  open(clientId: string): OpenedSession | Promise<OpenedSession> {
    return this.#do("open", () => {
      const session = this.#sessions.open(clientId);
      this.#open.set(clientId, session);
      return {
        read: () => this.#do("read", () => session.read()),
        write: (changes: SessionChanges) => {
          this.onWrite();
          return this.#do("write", () => {
            session.write(changes);
            this.#log.push(changesText(changes));
          });
        },
        close: () => {
          return this.#do("close", () => {
            if (this.#open.get(clientId) === session) this.#open.delete(clientId);
            return session.close();
          });
        },
      };
    });
  }

  #do<Result>(action: StoreAction, work: () => Result | Promise<Result>): Result | Promise<Result> {
    const perform = (): Result | Promise<Result> => {
      if (this.#failures.has(action)) throw this.#failures.get(action);
      return work();
    };
    return this.#async ? this.#flowing.then<Result>(perform) : perform();
  }
}

function publishText({ id, topic, qos, state, packetId }: StoredPublish): string {
  return `${id} ${topic} QoS ${qos} ${state}${packetId === 0 ? "" : ` ${packetId}`}`;
}

function changesText(changes: SessionChanges): string {
  return [
    ...changes.forgotten.map((part) => `forgotten ${part}`),
    ...changes.removed.map((id) => `-${id}`),
    ...changes.added.map((publish) => `+${publishText(publish)}`),
    ...changes.updated.map(({ id, state, packetId }) => `${id} ${state}${packetId === 0 ? "" : ` ${packetId}`}`),
    ...changes.completed.map((packetId) => `completed ${packetId}`),
    ...changes.received.map((packetId) => `received ${packetId}`),
    ...changes.unsubscribed.map((topicFilter) => `unsubscribed ${topicFilter}`),
    ...changes.subscribed.map(({ request, group }) => `subscribed ${request.topicFilter} in ${group}`),
    ...changes.lastPacketId === undefined ? [] : [`last ${changes.lastPacketId}`],
  ].join(", ");
}
