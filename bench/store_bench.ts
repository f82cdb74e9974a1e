// Measures what a session store takes to keep publishes and to let them go. Run it with
//
//   deno run -A bench/store_bench.ts [FOLDER]
//
// FOLDER is where the databases are made, and says by that which disk is measured.
import { join } from "node:path";
import { NO_PROPERTIES } from "../src/properties.ts";
import { MemorySessionStore } from "../src/store/memory_session_store.ts";
import type { OpenedSession, SessionChanges } from "../src/store/session_store.ts";
import type { StoredPublish } from "../src/stored_session.ts";
import { SqliteSessionStore } from "../src/store/sqlite_session_store.ts";

const SECONDS = 2;
const BATCHES = [1, 10, 100, 1000];

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
  const topic = "bench/site1/dev42/temp";
  return {
    id,
    packetId,
    state: "published",
    sequence: id,
    topic,
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

const folder = await Deno.makeTempDir({ dir: Deno.args[0], prefix: "store-bench-" });
try {
  for (const batch of BATCHES) measure("memory", new MemorySessionStore().open("bench"), batch);
  for (const synchronous of ["normal", "full"] as const) {
    for (const batch of BATCHES) {
      using store = new SqliteSessionStore(join(folder, `${synchronous}-${batch}.db`), { synchronous });
      measure(`SQLite ${synchronous}`, store.open("bench"), batch);
    }
  }
} finally {
  await Deno.remove(folder, { recursive: true });
}
