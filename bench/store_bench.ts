// Measures what a session store takes to keep publishes and to let them go, and how many QoS 1 publishes a client makes with it. Run it with
//
//   deno task bench:store [FOLDER]
//
// FOLDER is where the databases are made, and says by that which disk is measured.
import { join } from "node:path";
import { MQTTClient, QOS_1, type SessionStore } from "../mod.ts";
import { NO_PROPERTIES } from "../src/properties.ts";
import { MemorySessionStore } from "../src/store/memory_session_store.ts";
import type { OpenedSession, SessionChanges } from "../src/store/session_store.ts";
import type { StoredPublish } from "../src/stored_session.ts";
import { SqliteSessionStore } from "../src/store/sqlite_session_store.ts";

const SECONDS = 2;
const BATCHES = [1, 10, 100, 1000];
const ROUNDS = 5;
const PUBLISHES = 50_000;
const OUTSTANDING = [1000, 20];
const TOPIC = "bench/site1/dev42/temp";

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

const payload = new Uint8Array(64).fill(120);

function publish(id: number): StoredPublish {
  const packetId = 1 + id % 65_535;
  return {
    id,
    packetId,
    state: "published",
    sequence: id,
    topic: TOPIC,
    payload,
    qos: 1,
    retain: false,
    properties: NO_PROPERTIES,
  };
}

/** Prints how long a write takes that adds so many publishes, and one that removes them, and how many publishes a second this allows. */
function measure(name: string, session: OpenedSession, batch: number): void {
  let id = 0, adding = 0, removing = 0, rounds = 0;
  const end = performance.now() + SECONDS * 1000;
  for (let now = performance.now(); now < end; rounds++) {
    const added = Array.from({ length: batch }, () => publish(++id));
    const start = performance.now();
    session.write({ ...NOTHING, added, lastPacketId: added[0].packetId });
    const middle = performance.now();
    session.write({ ...NOTHING, removed: added.map(({ id }) => id) });
    now = performance.now();
    adding += middle - start;
    removing += now - middle;
  }
  const micros = (milliseconds: number) => `${(milliseconds * 1000 / rounds).toFixed(0).padStart(7)} µs`;
  const rate = Math.round(rounds * batch / (adding + removing) * 1000);
  console.log(
    `${name.padEnd(14)} ${String(batch).padStart(5)} publishes: add ${micros(adding)}, remove ${micros(removing)}, ` +
      `${String(rate).padStart(9)} publishes/s`,
  );
}

/** Starts the other side, which acknowledges everything. */
async function startSink(): Promise<AsyncDisposable & { uri: string }> {
  const program = new URL("load_server.ts", import.meta.url).pathname;
  const process = new Deno.Command(Deno.execPath(), { args: ["run", "-A", program, "sink"], stdout: "piped" }).spawn();
  const reader = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { listening } = JSON.parse((await reader.read()).value ?? "");
  return {
    uri: `mqtt://127.0.0.1:${listening}`,
    async [Symbol.asyncDispose]() {
      process.kill();
      await reader.cancel();
      await process.status;
    },
  };
}

/** Gives how many QoS 1 publishes a client makes in a second, so many of them at a time. */
async function publishRate(uri: string, store: SessionStore | undefined, outstanding: number): Promise<number> {
  await using client = new MQTTClient({ clientId: "bench", store });
  await client.connect(uri);
  const publishes = PUBLISHES * (outstanding < 100 ? 0.2 : 1);
  const start = performance.now();
  await new Promise<void>((resolve, reject) => {
    let sent = 0, acknowledged = 0;
    const next = () => {
      if (sent < publishes) client.publish(TOPIC, payload, { qos: QOS_1 }).then(settled, reject), sent++;
    };
    const settled = () => {
      if (++acknowledged === publishes) resolve();
      else next();
    };
    for (let i = 0; i < outstanding; i++) next();
  });
  return publishes / (performance.now() - start) * 1000;
}

/** Prints how a client's rate of QoS 1 publishes with each store compares to that without one, in rounds that take turns. */
async function compareClients(folder: string, outstanding: number): Promise<void> {
  await using sink = await startSink();
  const path = join(folder, `client-${outstanding}.db`);
  const stores: Record<string, () => SessionStore | undefined> = {
    "no store": () => undefined,
    memory: () => new MemorySessionStore(),
    "SQLite normal": () => new SqliteSessionStore(path, { synchronous: "normal" }),
    "SQLite full": () => new SqliteSessionStore(path, { synchronous: "full" }),
  };
  const rates = Object.fromEntries(Object.keys(stores).map((name) => [name, new Array<number>()]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, make] of Object.entries(stores)) {
      rates[name].push(await publishRate(sink.uri, make(), outstanding));
    }
  }
  for (const [name, each] of Object.entries(rates)) {
    const rate = median(each);
    console.log(
      `QoS 1, ${String(outstanding).padStart(4)} at a time, ${name.padEnd(13)} ${
        String(Math.round(rate)).padStart(8)
      } publishes/s, ` +
        `${(rate / median(rates["no store"])).toFixed(2)} of no store`,
    );
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}

const folder = await Deno.makeTempDir({ dir: Deno.args[0], prefix: "store-bench-" });
try {
  for (const batch of BATCHES) measure("memory", new MemorySessionStore().open("bench"), batch);
  for (const synchronous of ["normal", "full"] as const) {
    for (const batch of BATCHES) {
      using store = new SqliteSessionStore(join(folder, `${synchronous}-${batch}.db`), { synchronous });
      measure(`SQLite ${synchronous}`, store.open("bench"), batch);
    }
  }
  for (const outstanding of OUTSTANDING) await compareClients(folder, outstanding);
} finally {
  await Deno.remove(folder, { recursive: true });
}
