import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { SqliteSessionStore } from "../../src/store/sqlite_session_store.ts";
import { Random, seedOf } from "../random.ts";
import { startStoreChild } from "./store_child.ts";
import { batch } from "./store_process.ts";

const ROUNDS = 40;

Deno.test("SqliteSessionStore holds whole batches, and all that was written, after each SIGKILL", async () => {
  const random = new Random(seedOf("STORE_CRASH_SEED"));
  const folder = await Deno.makeTempDir({ prefix: "store-" });
  try {
    const path = join(folder, "session.db");
    for (let round = 0, last = 0; round < ROUNDS; round++) {
      await using child = startStoreChild("write", path, random.pick(["full", "normal"]));
      let printed = 0;
      for (let lines = 1 + random.below(30); lines > 0; lines--) printed = Number(await child.line());
      for (const line of await child.kill()) printed = Number(line);
      assert(printed > last);
      last = await checkBatches(path, printed);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Checks that the last two batches are there and nothing else; the last is the one that was written last, or the next. */
async function checkBatches(path: string, written: number): Promise<number> {
  using store = new SqliteSessionStore(path);
  const { publishes, received, lastPacketId } = await store.open("client").read();
  assert(lastPacketId === written || lastPacketId === written + 1, `${lastPacketId} after ${written}`);
  const batches = lastPacketId === 1 ? [batch(1)] : [batch(lastPacketId - 1), batch(lastPacketId)];
  assertEquals(publishes, batches.flatMap(({ added }) => added));
  assertEquals(received, batches.flatMap((each) => each.received).sort((a, b) => a - b));
  return lastPacketId;
}
