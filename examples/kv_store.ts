// A session store of one's own: it keeps sessions in Deno KV, which is local to the machine, or a service.
//
//   deno run --unstable-kv --allow-net=localhost:1883 --allow-read=kv.db --allow-write=kv.db examples/kv_store.ts mqtt://localhost:1883
//
// Deno KV limits what a value (64 KiB) and a transaction hold, so payloads are cut into pieces, and a large batch takes several transactions,
// of which a crash may leave some. The client sends nothing of a batch before all of it is written, so that no more than this can happen: a message
// is published though publish() was interrupted. Topics, client identifiers and filters may have up to 2,000 bytes.
import {
  ClientError,
  MQTTClient,
  type OpenedSession,
  QOS_2,
  type SessionChanges,
  type SessionStore,
  type StoredPublish,
  type StoredPublishProgress,
  type StoredSession,
  type StoredSubscription,
} from "@hbmqtt/client";

const PIECE_BYTES = 60_000;
const MOST_MUTATIONS = 400;
const MOST_BYTES = 500_000;

/** A publish with the number of pieces of its payload instead of the payload. */
type Head = Omit<StoredPublish, "payload"> & { pieces: number };

/** Keeps sessions in Deno KV (`--unstable-kv`). Nothing keeps two processes from opening the same session: that is up to the caller. */
export class KvSessionStore implements SessionStore {
  readonly #kv: Deno.Kv;
  readonly #opened = new Set<string>();

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
  }

  async open(clientId: string): Promise<OpenedSession> {
    if (this.#opened.has(clientId)) throw new ClientError(`The session of client "${clientId}" is open already`);
    this.#opened.add(clientId);
    try {
      return await KvSession.open(this.#kv, clientId, () => this.#opened.delete(clientId));
    } catch (error) {
      this.#opened.delete(clientId);
      throw error;
    }
  }
}

class KvSession implements OpenedSession {
  readonly #kv: Deno.Kv;
  readonly #clientId: string;
  #release: () => void;
  /** What is stored of the publishes but for the payloads, so that no write has to read first. */
  readonly #heads = new Map<number, Head>();
  #position = 0;

  private constructor(kv: Deno.Kv, clientId: string, release: () => void) {
    this.#kv = kv;
    this.#clientId = clientId;
    this.#release = release;
  }

  static async open(kv: Deno.Kv, clientId: string, release: () => void): Promise<KvSession> {
    const session = new KvSession(kv, clientId, release);
    for await (const { value } of session.#list<Head>("publishes")) session.#heads.set(value.id, value);
    for await (const { value } of session.#list<{ position: number }>("subscriptions")) {
      session.#position = Math.max(session.#position, value.position);
    }
    return session;
  }

  async read(): Promise<StoredSession> {
    const payloads = new Map<unknown, Uint8Array<ArrayBuffer>[]>();
    for await (const { key, value } of this.#list<Uint8Array<ArrayBuffer>>("payloads")) {
      const [id] = key.slice(-2);
      payloads.set(id, [...payloads.get(id) ?? [], value]);
    }
    const publishes: StoredPublish[] = [];
    for (const { pieces, ...publish } of this.#heads.values()) {
      const payload = await new Blob(payloads.get(publish.id)?.slice(0, pieces)).bytes();
      publishes.push({ ...publish, payload });
    }
    const received = await Array.fromAsync(this.#list<number>("received"), ({ value }) => value);
    type Placed = { subscription: StoredSubscription; position: number };
    const subscriptions = await Array.fromAsync(this.#list<Placed>("subscriptions"), ({ value }) => value);
    subscriptions.sort((a, b) => a.subscription.group - b.subscription.group || a.position - b.position);
    const { value: lastPacketId } = await this.#kv.get<number>(this.#key("lastPacketId"));
    return {
      publishes,
      received,
      subscriptions: subscriptions.map(({ subscription }) => subscription),
      lastPacketId: lastPacketId ?? 0,
    };
  }

  async write(changes: SessionChanges): Promise<void> {
    const batch = new Batch(this.#kv);
    for (const part of changes.forgotten) {
      if (part === "publishes") { for (const id of [...this.#heads.keys()]) await this.#remove(batch, id); }
      else for await (const { key } of this.#list(part)) await batch.delete(key);
    }
    for (const id of changes.removed) await this.#remove(batch, id);
    for (const publish of changes.added) await this.#add(batch, publish);
    for (const progress of changes.updated) await this.#update(batch, progress);
    for (const packetId of changes.completed) await batch.delete(this.#key("received", packetId));
    for (const packetId of changes.received) await batch.set(this.#key("received", packetId), packetId);
    for (const filter of changes.unsubscribed) await batch.delete(this.#key("subscriptions", filter));
    for (const subscription of changes.subscribed) {
      const position = ++this.#position;
      await batch.set(this.#key("subscriptions", subscription.request.topicFilter), { subscription, position });
    }
    if (changes.lastPacketId !== undefined) await batch.set(this.#key("lastPacketId"), changes.lastPacketId);
    await batch.commit();
  }

  close(): void {
    this.#release();
    this.#release = () => {};
  }

  async #add(batch: Batch, { payload, ...rest }: StoredPublish): Promise<void> {
    const pieces = Math.ceil(payload.length / PIECE_BYTES);
    for (let piece = 0; piece < pieces; piece++) {
      const bytes = payload.slice(piece * PIECE_BYTES, (piece + 1) * PIECE_BYTES);
      await batch.set(this.#key("payloads", rest.id, piece), bytes, bytes.length);
    }
    const head = { ...structuredClone(rest), pieces }; // the properties are the application's
    this.#heads.set(rest.id, head);
    await batch.set(this.#key("publishes", rest.id), head);
  }

  async #update(batch: Batch, progress: StoredPublishProgress): Promise<void> {
    const head = this.#heads.get(progress.id);
    if (head === undefined) return;
    Object.assign(head, progress);
    await batch.set(this.#key("publishes", progress.id), head);
  }

  async #remove(batch: Batch, id: number): Promise<void> {
    const pieces = this.#heads.get(id)?.pieces ?? 0;
    this.#heads.delete(id);
    await batch.delete(this.#key("publishes", id));
    for (let piece = 0; piece < pieces; piece++) await batch.delete(this.#key("payloads", id, piece));
  }

  #key(...parts: Deno.KvKeyPart[]): Deno.KvKey {
    return ["mqtt", this.#clientId, ...parts];
  }

  #list<Value>(...parts: Deno.KvKeyPart[]): Deno.KvListIterator<Value> {
    return this.#kv.list<Value>({ prefix: this.#key(...parts) }, { batchSize: 500 });
  }
}

/** Commits as much in one transaction as fits. */
class Batch {
  readonly #kv: Deno.Kv;
  #operation: Deno.AtomicOperation;
  #mutations = 0;
  #bytes = 0;

  constructor(kv: Deno.Kv) {
    this.#kv = kv;
    this.#operation = kv.atomic();
  }

  async set(key: Deno.KvKey, value: unknown, bytes = 1000): Promise<void> {
    await this.#add(bytes);
    this.#operation.set(key, value);
  }

  async delete(key: Deno.KvKey): Promise<void> {
    await this.#add(0);
    this.#operation.delete(key);
  }

  async #add(bytes: number): Promise<void> {
    if (this.#mutations === MOST_MUTATIONS || this.#bytes + bytes > MOST_BYTES) await this.commit();
    this.#mutations++;
    this.#bytes += bytes;
  }

  async commit(): Promise<void> {
    if (this.#mutations > 0) await this.#operation.commit();
    this.#operation = this.#kv.atomic();
    this.#mutations = this.#bytes = 0;
  }
}

if (import.meta.main) {
  const [uri = "mqtt://localhost:1883", path = "kv.db"] = Deno.args;
  using kv = await Deno.openKv(path);
  await using client = new MQTTClient({
    clientId: "example-kv-store",
    config: { cleansession: false },
    store: new KvSessionStore(kv),
  });
  await client.connect(uri);
  console.log(`${client.pending.length} publishes of the last run to be completed`);
  await client.drained();
  await client.publish("example/kv", "hello", { qos: QOS_2 });
  console.log("published");
}
