import type { SessionChanges } from "../../src/store/session_store.ts";
import type { StoredPublish, StoredSubscription } from "../../src/stored_session.ts";
import { NO_PROPERTIES } from "../../src/properties.ts";

const NOTHING: SessionChanges = {
  forgotten: [],
  removed: [],
  added: [],
  updated: [],
  completed: [],
  received: [],
  unsubscribed: [],
  subscribed: [],
};

/** Gives changes that are these and no others. */
export function changes(these: Partial<SessionChanges>): SessionChanges {
  return { ...NOTHING, ...these };
}

/** Gives a publish of QoS 1 that was sent with its `id` as Packet Identifier, but for what is said otherwise. */
export function publish(id: number, other: Partial<StoredPublish> = {}): StoredPublish {
  return {
    id,
    packetId: id,
    state: "published",
    sequence: id,
    topic: `a/${id}`,
    payload: Uint8Array.of(id),
    qos: 1,
    retain: false,
    properties: NO_PROPERTIES,
    ...other,
  };
}

export function subscription(
  topicFilter: string,
  group: number,
  other: Partial<StoredSubscription> = {},
): StoredSubscription {
  return {
    request: { topicFilter, qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
    properties: NO_PROPERTIES,
    group,
    ...other,
  };
}
