import type { PublishFlow } from "../session/flow.ts";
import type { Session } from "../session/session.ts";
import type { Granted } from "../session/subscriptions.ts";
import type { SessionChanges, StoredPart } from "../store/session_store.ts";
import type { StoredPublish, StoredPublishProgress, StoredSession } from "../stored_session.ts";

/** Changes that are being written, by what they are about, each with what is stored of it afterwards. */
interface Batch {
  readonly forgotten: readonly StoredPart[];
  readonly publishes: Map<PublishFlow, StoredPublishProgress | undefined>;
  readonly received: Map<number, boolean>;
  readonly subscriptions: Map<string, Granted | undefined>;
}

/** What a batch that could not be written was about. */
export interface FailedBatch {
  /** The publishes of which nothing is stored, without those that the client has left when it ended. */
  readonly unstored: readonly PublishFlow[];
  /** Whether packets depend on it that are not PUBLISH packets of these. */
  readonly concernsMore: boolean;
}

/** What has changed in a session since a store was last told: the difference between what is and what is stored. */
export class Journal {
  readonly #session: Session;
  readonly #clockOrigin: number;
  #lastId: number;
  #lastPacketId: number;
  #lastGroup: number;
  readonly #groups = new WeakMap<object, number>();
  // What is stored beside the publishes, which know it themselves.
  readonly #storedReceived: Set<number>;
  readonly #storedSubscriptions = new Map<string, Granted>();
  // What may have changed.
  readonly #forgotten = new Set<StoredPart>();
  readonly #publishes = new Set<PublishFlow>();
  readonly #received = new Map<number, boolean>();
  readonly #topicFilters = new Set<string>();
  #batch: Batch | undefined;

  /**
   * Takes a session that was restored, what is stored of it, and the time at which the session's clock was 0, in seconds since
   * 1970-01-01 UTC.
   */
  constructor(session: Session, stored: StoredSession, clockOrigin: number) {
    this.#session = session;
    this.#clockOrigin = clockOrigin;
    this.#lastId = stored.publishes.at(-1)?.id ?? 0;
    this.#lastPacketId = stored.lastPacketId;
    this.#lastGroup = stored.subscriptions.at(-1)?.group ?? 0;
    this.#storedReceived = new Set(stored.received);
    for (const { request: { topicFilter }, group } of stored.subscriptions) {
      const granted = session.subscriptions.get(topicFilter);
      if (granted === undefined) continue;
      this.#storedSubscriptions.set(topicFilter, granted);
      this.#groups.set(granted.packet, group);
    }
  }

  publishChanged(flow: PublishFlow): void {
    const leavesNothing = flow.state === "settled" && flow.stored === undefined && !this.#batch?.publishes.has(flow);
    if (leavesNothing) this.#publishes.delete(flow);
    else this.#publishes.add(flow);
  }

  received(packetId: number): void {
    this.#received.set(packetId, true);
  }

  completed(packetId: number): void {
    this.#received.set(packetId, false);
  }

  subscriptionChanged(topicFilter: string): void {
    this.#topicFilters.add(topicFilter);
  }

  forget(part: "received" | "subscriptions"): void {
    this.#forgotten.add(part);
    if (part === "subscriptions") return this.#storedSubscriptions.clear();
    this.#storedReceived.clear();
    this.#received.clear();
  }

  /** Gives what has changed, to be written; `undefined` when nothing has. {@linkcode written} or {@linkcode failed} is to follow. */
  take(): SessionChanges | undefined {
    const batch: Batch = {
      forgotten: [...this.#forgotten],
      publishes: new Map(),
      received: new Map(),
      subscriptions: new Map(),
    };
    const { lastPacketId } = this.#session;
    const changes = {
      forgotten: batch.forgotten,
      ...this.#takePublishes(batch),
      ...this.#takeReceived(batch),
      ...this.#takeSubscriptions(batch),
      ...lastPacketId !== this.#lastPacketId && { lastPacketId },
    };
    this.#forgotten.clear();
    const isEmpty = Object.values(changes).every((list) => Array.isArray(list) && list.length === 0);
    if (isEmpty) return undefined;
    this.#lastPacketId = lastPacketId;
    this.#batch = batch;
    return changes;
  }

  #takePublishes({ publishes }: Batch): Pick<SessionChanges, "removed" | "added" | "updated"> {
    const removed: number[] = [], added: StoredPublish[] = [], updated: StoredPublishProgress[] = [];
    for (const flow of this.#publishes) {
      const { stored } = flow;
      const progress = progressOf(flow, stored?.id ?? this.#lastId + 1);
      if (progress === undefined) {
        if (stored !== undefined) removed.push(stored.id);
      } else if (stored === undefined) {
        this.#lastId++;
        added.push(storedPublish(flow, progress, this.#clockOrigin));
      } else if (differs(progress, stored)) updated.push(progress);
      else continue;
      publishes.set(flow, progress);
    }
    this.#publishes.clear();
    return { removed, added, updated };
  }

  #takeReceived(batch: Batch): Pick<SessionChanges, "completed" | "received"> {
    const completed: number[] = [], received: number[] = [];
    for (const [packetId, isReceived] of this.#received) {
      if (isReceived === this.#storedReceived.has(packetId)) continue;
      (isReceived ? received : completed).push(packetId);
      batch.received.set(packetId, isReceived);
    }
    this.#received.clear();
    return { completed, received };
  }

  #takeSubscriptions(batch: Batch): Pick<SessionChanges, "unsubscribed" | "subscribed"> {
    const unsubscribed: string[] = [], subscribed: SessionChanges["subscribed"][number][] = [];
    for (const topicFilter of this.#topicFilters) {
      const granted = this.#session.subscriptions.get(topicFilter);
      if (granted === this.#storedSubscriptions.get(topicFilter)) continue;
      batch.subscriptions.set(topicFilter, granted);
      if (granted === undefined) unsubscribed.push(topicFilter);
      else {
        const { request, packet } = granted;
        subscribed.push({ request, properties: packet.properties, group: this.#groupOf(packet) });
      }
    }
    this.#topicFilters.clear();
    return { unsubscribed, subscribed };
  }

  #groupOf(packet: object): number {
    const group = this.#groups.get(packet) ?? ++this.#lastGroup;
    this.#groups.set(packet, group);
    return group;
  }

  /** Says that what was taken is stored. */
  written(): void {
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch === undefined) return;
    for (const [flow, progress] of batch.publishes) flow.stored = progress;
    this.#leaveOutForgotten(batch);
    for (const [packetId, isReceived] of batch.received) {
      if (isReceived) this.#storedReceived.add(packetId);
      else this.#storedReceived.delete(packetId);
    }
    for (const [topicFilter, granted] of batch.subscriptions) {
      if (granted === undefined) this.#storedSubscriptions.delete(topicFilter);
      else this.#storedSubscriptions.set(topicFilter, granted);
    }
  }

  /** Leaves out of a batch what is to be forgotten since it was taken. */
  #leaveOutForgotten({ received, subscriptions }: Batch): void {
    if (this.#forgotten.has("received")) received.clear();
    if (this.#forgotten.has("subscriptions")) subscriptions.clear();
  }

  /** Says that what was taken is not stored. It still is to be, but for the publishes that are `unstored`. */
  failed(): FailedBatch {
    const batch = this.#batch;
    this.#batch = undefined;
    const unstored: PublishFlow[] = [];
    if (batch === undefined) return { unstored, concernsMore: false };
    this.#lastPacketId = -1; // to be written with the next batch in any case
    this.#leaveOutForgotten(batch);
    for (const part of batch.forgotten) this.#forgotten.add(part);
    let concernsMore = batch.forgotten.length > 0;
    const later = [...this.#publishes];
    this.#publishes.clear();
    for (const [flow, progress] of batch.publishes) {
      if (flow.stored === undefined && flow.state !== "left") unstored.push(flow);
      else {
        this.#publishes.add(flow);
        if (progress !== undefined) concernsMore = true;
      }
    }
    for (const flow of later) this.#publishes.add(flow);
    for (const [packetId, isReceived] of batch.received) {
      if (!this.#received.has(packetId)) this.#received.set(packetId, isReceived);
      concernsMore = true;
    }
    for (const topicFilter of batch.subscriptions.keys()) this.#topicFilters.add(topicFilter);
    return { unstored, concernsMore };
  }
}

function differs(a: StoredPublishProgress, b: StoredPublishProgress): boolean {
  return a.packetId !== b.packetId || a.state !== b.state || a.sequence !== b.sequence;
}

/** Gives how far a publish has come, as it is to be stored; `undefined` when nothing of it is. */
function progressOf(flow: PublishFlow, id: number): StoredPublishProgress | undefined {
  if (flow.state === "settled") return undefined;
  const { packetId } = flow.packet;
  const isReleased = flow.pubrelPacket !== undefined;
  return {
    id,
    packetId,
    state: packetId === 0 ? "queued" : isReleased ? "released" : "published",
    sequence: flow.sequence,
  };
}

function storedPublish(flow: PublishFlow, progress: StoredPublishProgress, clockOrigin: number): StoredPublish {
  const { topic, payload, qos, retain, properties } = flow.packet;
  const expiresAt = flow.expiresAt === undefined ? {} : { expiresAt: Math.ceil((flow.expiresAt + clockOrigin) * 1000) };
  return { ...progress, topic, payload, qos, retain, properties, ...expiresAt };
}
