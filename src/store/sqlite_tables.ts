import type { DatabaseSync, StatementSync } from "node:sqlite";
import type { QoS } from "../packets.ts";
import type { SessionChanges, StoredPart } from "./session_store.ts";
import type { StoredPublish, StoredPublishState, StoredSession, StoredSubscription } from "../stored_session.ts";
import { decodeProperties, encodeProperties } from "./stored_properties.ts";

interface PublishRow {
  id: number;
  packet_id: number;
  state: StoredPublishState;
  sequence: number;
  topic: string;
  qos: QoS;
  retain: number;
  properties: string | null;
  expires_at: number | null;
  payload: Uint8Array;
}

interface SubscriptionRow {
  topic_filter: string;
  qos: QoS;
  no_local: number;
  retain_as_published: number;
  retain_handling: 0 | 1 | 2;
  properties: string | null;
  group_number: number;
}

/** The tables of the sessions; whoever calls it sees to transactions. */
export class SqliteTables {
  readonly #findClient: StatementSync;
  readonly #addClient: StatementSync;
  readonly #readLastPacketId: StatementSync;
  readonly #readPublishes: StatementSync;
  readonly #readReceived: StatementSync;
  readonly #readSubscriptions: StatementSync;
  readonly #forget: Readonly<Record<StoredPart, StatementSync>>;
  readonly #remove: StatementSync;
  readonly #add: StatementSync;
  readonly #update: StatementSync;
  readonly #complete: StatementSync;
  readonly #receive: StatementSync;
  readonly #unsubscribe: StatementSync;
  readonly #subscribe: StatementSync;
  readonly #setLastPacketId: StatementSync;

  constructor(database: DatabaseSync) {
    const prepare = (sql: string) => database.prepare(sql);
    this.#findClient = prepare("SELECT client FROM hbmqtt_clients WHERE client_id = ?");
    this.#addClient = prepare("INSERT INTO hbmqtt_clients (client_id) VALUES (?)");
    this.#readLastPacketId = prepare("SELECT last_packet_id FROM hbmqtt_clients WHERE client = ?");
    this.#readPublishes = prepare("SELECT * FROM hbmqtt_publishes WHERE client = ? ORDER BY id");
    this.#readReceived = prepare("SELECT packet_id FROM hbmqtt_received WHERE client = ?");
    this.#readSubscriptions = prepare(
      "SELECT * FROM hbmqtt_subscriptions WHERE client = ? ORDER BY group_number, position",
    );
    this.#forget = {
      publishes: prepare("DELETE FROM hbmqtt_publishes WHERE client = ?"),
      received: prepare("DELETE FROM hbmqtt_received WHERE client = ?"),
      subscriptions: prepare("DELETE FROM hbmqtt_subscriptions WHERE client = ?"),
    };
    this.#remove = prepare("DELETE FROM hbmqtt_publishes WHERE client = ? AND id BETWEEN ? AND ?");
    this.#add = prepare(
      "INSERT INTO hbmqtt_publishes (client, id, packet_id, state, sequence, topic, qos, retain, properties, expires_at, payload) " +
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#update = prepare(
      "UPDATE hbmqtt_publishes SET packet_id = ?, state = ?, sequence = ? WHERE client = ? AND id = ?",
    );
    this.#complete = prepare("DELETE FROM hbmqtt_received WHERE client = ? AND packet_id = ?");
    this.#receive = prepare("INSERT OR IGNORE INTO hbmqtt_received (client, packet_id) VALUES (?, ?)");
    this.#unsubscribe = prepare("DELETE FROM hbmqtt_subscriptions WHERE client = ? AND topic_filter = ?");
    // It gets the last position, also where it replaces another.
    this.#subscribe = prepare(
      "REPLACE INTO hbmqtt_subscriptions (client, topic_filter, qos, no_local, retain_as_published, retain_handling, properties, " +
        "group_number) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#setLastPacketId = prepare("UPDATE hbmqtt_clients SET last_packet_id = ? WHERE client = ?");
  }

  /** Gives what stands for a client in the tables. */
  client(clientId: string): number {
    return Number(this.#findClient.get(clientId)?.client ?? this.#addClient.run(clientId).lastInsertRowid);
  }

  read(client: number): StoredSession {
    return {
      publishes: (this.#readPublishes.all(client) as unknown as PublishRow[]).map(publishOf),
      received: this.#readReceived.all(client).map((row) => Number(row.packet_id)),
      subscriptions: (this.#readSubscriptions.all(client) as unknown as SubscriptionRow[]).map(subscriptionOf),
      lastPacketId: Number(this.#readLastPacketId.get(client)?.last_packet_id ?? 0),
    };
  }

  write(client: number, changes: SessionChanges): void {
    const { lastPacketId } = changes;
    for (const part of changes.forgotten) this.#forget[part].run(client);
    this.#removePublishes(client, changes.removed);
    for (const publish of changes.added) this.#addPublish(client, publish);
    for (const { id, packetId, state, sequence } of changes.updated) {
      this.#update.run(packetId, state, sequence, client, id);
    }
    for (const packetId of changes.completed) this.#complete.run(client, packetId);
    for (const packetId of changes.received) this.#receive.run(client, packetId);
    for (const topicFilter of changes.unsubscribed) this.#unsubscribe.run(client, topicFilter);
    for (const subscription of changes.subscribed) this.#addSubscription(client, subscription);
    if (lastPacketId !== undefined) this.#setLastPacketId.run(lastPacketId, client);
  }

  /** Those that follow one another by one statement: publishes are mostly settled in order. */
  #removePublishes(client: number, ids: readonly number[]): void {
    for (let i = 0; i < ids.length;) {
      const first = ids[i];
      let last = first;
      while (ids[++i] === last + 1) last++;
      this.#remove.run(client, first, last);
    }
  }

  #addPublish(client: number, publish: StoredPublish): void {
    const { id, packetId, state, sequence, topic, qos, retain, properties, expiresAt, payload } = publish;
    this.#add.run(
      client,
      id,
      packetId,
      state,
      sequence,
      topic,
      qos,
      Number(retain),
      encodeProperties(properties),
      expiresAt ?? null,
      payload,
    );
  }

  #addSubscription(client: number, { request, properties, group }: StoredSubscription): void {
    const { topicFilter, qos, noLocal, retainAsPublished, retainHandling } = request;
    this.#subscribe.run(
      client,
      topicFilter,
      qos,
      Number(noLocal),
      Number(retainAsPublished),
      retainHandling,
      encodeProperties(properties),
      group,
    );
  }
}

function publishOf(row: PublishRow): StoredPublish {
  const { id, state, sequence, topic, qos, payload } = row;
  const publish: StoredPublish = {
    id,
    packetId: row.packet_id,
    state,
    sequence,
    topic,
    payload,
    qos,
    retain: row.retain === 1,
    properties: decodeProperties(row.properties),
  };
  if (row.expires_at !== null) publish.expiresAt = row.expires_at;
  return publish;
}

function subscriptionOf(row: SubscriptionRow): StoredSubscription {
  return {
    request: {
      topicFilter: row.topic_filter,
      qos: row.qos,
      noLocal: row.no_local === 1,
      retainAsPublished: row.retain_as_published === 1,
      retainHandling: row.retain_handling,
    },
    properties: decodeProperties(row.properties),
    group: row.group_number,
  };
}
