import { ClientError } from "../errors.ts";
import type { OpenedSession, SessionChanges, SessionStore } from "./session_store.ts";
import { NO_PROPERTIES, type Properties } from "../properties.ts";
import type { StoredPublish, StoredSession, StoredSubscription } from "../stored_session.ts";

/**
 * Keeps sessions in memory, so that they outlive their {@linkcode MQTTClient} but not the process.
 *
 * ```ts
 * import { MemorySessionStore, MQTTClient } from "@hbmqtt/client";
 *
 * const store = new MemorySessionStore();
 * const options = { clientId: "sensor-7", config: { cleansession: false }, store };
 * const first = new MQTTClient(options); // what it leaves unsettled…
 * await first.disconnect();
 * await using second = new MQTTClient(options); // …this one settles
 * ```
 */
export class MemorySessionStore implements SessionStore {
  readonly #sessions = new Map<string, MemorySession>();
  readonly #opened = new Set<string>();

  /**
   * Opens the session of a client, for it alone.
   *
   * @throws {ClientError} If the session is open already.
   */
  open(clientId: string): OpenedSession {
    if (this.#opened.has(clientId)) {
      throw new ClientError(`The session of client "${clientId}" is open already: close the other client first`);
    }
    const session = this.#sessions.get(clientId) ?? new MemorySession();
    this.#sessions.set(clientId, session);
    this.#opened.add(clientId);
    let closed = false;
    return {
      read: () => session.read(),
      write: (changes) => session.write(changes),
      close: () => {
        if (!closed) this.#opened.delete(clientId);
        closed = true;
      },
    };
  }
}

class MemorySession {
  readonly #parts = {
    publishes: new Map<number, StoredPublish>(),
    received: new Set<number>(),
    subscriptions: new Map<string, StoredSubscription>(),
  };
  #lastPacketId = 0;

  read(): StoredSession {
    const { publishes, received, subscriptions } = this.#parts;
    return {
      publishes: [...publishes.values()].map((publish) => ({ ...publish })),
      received: [...received],
      subscriptions: [...subscriptions.values()].sort((a, b) => a.group - b.group),
      lastPacketId: this.#lastPacketId,
    };
  }

  write(changes: SessionChanges): void {
    const { publishes, received, subscriptions } = this.#parts;
    for (const part of changes.forgotten) this.#parts[part].clear();
    for (const id of changes.removed) publishes.delete(id);
    for (const publish of changes.added) {
      const payload = new Uint8Array(publish.payload), properties = copyOf(publish.properties);
      publishes.set(publish.id, { ...publish, payload, properties });
    }
    for (const progress of changes.updated) {
      const publish = publishes.get(progress.id);
      if (publish !== undefined) Object.assign(publish, progress);
    }
    for (const packetId of changes.completed) received.delete(packetId);
    for (const packetId of changes.received) received.add(packetId);
    for (const topicFilter of changes.unsubscribed) subscriptions.delete(topicFilter);
    for (const subscription of changes.subscribed) {
      const { topicFilter } = subscription.request;
      subscriptions.delete(topicFilter); // so that it comes after the others of its group
      subscriptions.set(topicFilter, { ...subscription, properties: copyOf(subscription.properties) });
    }
    this.#lastPacketId = changes.lastPacketId ?? this.#lastPacketId;
  }
}

/** Of bytes it copies no more than they are, of a larger buffer too. */
function copyOf(properties: Properties): Properties {
  if (properties === NO_PROPERTIES) return properties;
  const copy: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(properties)) {
    copy[name] = value instanceof Uint8Array ? new Uint8Array(value) : structuredClone(value);
  }
  return copy;
}
