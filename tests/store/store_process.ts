// A process of its own that uses a store; run by the tests.
//
//   open PATH                    opens a session, prints "open" or what went wrong, and waits for the end of stdin
//   without PATH                 does the same where there are no modules of Node
//   write PATH (full or normal)  writes batch after batch until it is killed, and prints the number of each that is written
import { SqliteSessionStore } from "../../src/store/sqlite_session_store.ts";
import type { SessionChanges } from "../../src/store/session_store.ts";
import { Random } from "../random.ts";
import { changes, publish } from "./changes.ts";

const MOST_PUBLISHES = 300;

/** Gives what is published in a batch: so many that a good part of the time passes within writes. */
export function batch(number: number): Pick<SessionChanges, "added" | "received"> {
  const random = new Random(number);
  const length = 1 + random.below(MOST_PUBLISHES);
  return {
    added: Array.from(
      { length },
      (_, i) =>
        publish(number * MOST_PUBLISHES + i, { topic: String(number), payload: new Uint8Array(random.below(1000)) }),
    ),
    received: Array.from({ length: 1 + random.below(5) }, (_, i) => 1 + (number * 5 + i) % 65_535),
  };
}

/** Adds a batch, and takes away the one before the last. */
function changesOf(number: number): SessionChanges {
  const { added, received } = batch(number);
  const old = number > 2 ? batch(number - 2) : changes({});
  return changes({
    added,
    received,
    lastPacketId: number,
    removed: old.added.map(({ id }) => id),
    completed: old.received,
  });
}

if (import.meta.main) {
  const [command, path, synchronous] = Deno.args;
  const store = new SqliteSessionStore(path, { synchronous: synchronous === "normal" ? "normal" : "full" });
  if (command === "without") Reflect.deleteProperty(globalThis, "process");
  if (command !== "write") {
    try {
      store.open("client");
      console.log("open");
      for await (const _ of Deno.stdin.readable);
      store.close();
    } catch (error) {
      console.log(String(error));
    }
  } else {
    const session = store.open("client");
    let { lastPacketId } = await session.read();
    while (true) {
      session.write(changesOf(++lastPacketId));
      console.log(lastPacketId);
    }
  }
}
