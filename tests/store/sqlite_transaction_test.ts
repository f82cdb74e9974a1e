import { assert, assertEquals, assertStrictEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { ClientError } from "../../src/errors.ts";
import type { SessionChanges, SessionParticipant } from "../../src/store/session_store.ts";
import { SqliteSessionStore } from "../../src/store/sqlite_session_store.ts";
import { changes, publish } from "./changes.ts";

/** A client that notes what the store asks of it and tells it. */
class Participant implements SessionParticipant {
  readonly name: string;
  readonly log: unknown[];
  /** What has changed. */
  pending: SessionChanges | undefined;

  constructor(name: string, log: unknown[]) {
    this.name = name;
    this.log = log;
  }

  changes(): SessionChanges | undefined {
    this.log.push(`${this.name} changes`);
    const { pending } = this;
    this.pending = undefined;
    return pending;
  }

  committed(): void {
    this.log.push(`${this.name} committed`);
  }

  rolledBack(error: unknown): void {
    this.log.push(`${this.name} rolled back`, error);
  }
}

interface Stage {
  readonly store: SqliteSessionStore;
  /** What the clients and the work have noted. */
  readonly log: unknown[];
  readonly a: Participant;
  readonly b: Participant;
  /** Gives what is stored: the items of the application's table and the ids of the clients' publishes. */
  stored(): { items: unknown[]; a: number[]; b: number[] };
  insert(item: string): void;
}

const NOTHING = { items: [], a: [], b: [] };

/** Registers a test with a store in memory, a table of the application's, and two clients. */
function test(sentence: string, fn: (stage: Stage) => void): void {
  Deno.test(`SqliteSessionStore.transaction() ${sentence}`, async () => {
    using store = new SqliteSessionStore(":memory:");
    store.database.exec("CREATE TABLE items (item TEXT UNIQUE)");
    const log: unknown[] = [];
    const a = new Participant("a", log), b = new Participant("b", log);
    const sessions = [a, b].map((participant) => store.open(participant.name, participant));
    const ids = (client: string) =>
      store.database.prepare("SELECT id FROM hbmqtt_publishes JOIN hbmqtt_clients USING (client) WHERE client_id = ?")
        .all(client).map(({ id }) => Number(id));
    fn({
      store,
      log,
      a,
      b,
      insert: (item) => void store.database.prepare("INSERT INTO items VALUES (?)").run(item),
      stored: () => ({
        items: store.database.prepare("SELECT item FROM items").all().map(({ item }) => item),
        a: ids("a"),
        b: ids("b"),
      }),
    });
    for (const session of sessions) await session.close();
  });
}

test("commits the statements and the changes of all clients together, and gives what the work gives", (stage) => {
  const { store, a, b, log } = stage;
  const result = store.transaction(() => {
    assert(store.inTransaction);
    log.push("work");
    stage.insert("tea");
    a.pending = changes({ added: [publish(1)] });
    b.pending = changes({ added: [publish(2)] });
    return "result";
  });
  assertEquals(result, "result");
  assertEquals(log, ["a changes", "b changes", "work", "a changes", "b changes", "a committed", "b committed"]);
  assertEquals(stage.stored(), { items: ["tea"], a: [1], b: [2] });
  assert(!store.inTransaction);
});

test("stores what clients have changed before by itself, first", (stage) => {
  const { store, a, log } = stage;
  a.pending = changes({ added: [publish(1)] });
  const error = new Error("work");
  assertStrictEquals(
    assertThrows(() =>
      store.transaction(() => {
        log.push("work");
        a.pending = changes({ added: [publish(2)] });
        throw error;
      })
    ),
    error,
  );
  assertEquals(log, ["a changes", "a committed", "b changes", "work", "a rolled back", error, "b rolled back", error]);
  assertEquals(stage.stored(), { ...NOTHING, a: [1] });
});

test("does no work when what clients have changed before cannot be stored", (stage) => {
  const { store, a, log } = stage;
  a.pending = changes({ added: [publish(1), publish(1)] });
  const error = assertThrows(() => store.transaction(() => log.push("work")), ClientError, "UNIQUE constraint failed");
  assertEquals(log, ["a changes", "a rolled back", error]);
  assertEquals(stage.stored(), NOTHING);
  assert(!store.inTransaction);
});

test("rolls everything back when the work throws", (stage) => {
  const { store, a, b, log } = stage;
  stage.insert("tea");
  log.length = 0;
  const error = assertThrows(() =>
    store.transaction(() => {
      stage.insert("coffee");
      a.pending = changes({ added: [publish(1)] });
      stage.insert("tea");
    }), Error);
  assertStringIncludes(error.message, "UNIQUE constraint failed: items.item");
  assertEquals(log.slice(2), ["a rolled back", error, "b rolled back", error]);
  assertEquals(stage.stored(), { ...NOTHING, items: ["tea"] });
  // The client forgets what was rolled back; the next transaction is whole again.
  a.pending = b.pending = undefined;
  store.transaction(() => {
    stage.insert("milk");
    b.pending = changes({ added: [publish(3)] });
  });
  assertEquals(stage.stored(), { items: ["tea", "milk"], a: [], b: [3] });
});

test("rolls everything back when the changes of one client cannot be stored", (stage) => {
  const { store, a, b, log } = stage;
  const error = assertThrows(() =>
    store.transaction(() => {
      stage.insert("tea");
      a.pending = changes({ added: [publish(1)] });
      b.pending = changes({ added: [publish(2), publish(2)] });
    }), ClientError);
  assertStringIncludes(error.message, "Cannot write to the session store :memory:: UNIQUE constraint failed");
  assertEquals(log.slice(2), ["a changes", "b changes", "a rolled back", error, "b rolled back", error]);
  assertEquals(stage.stored(), NOTHING);
});

test("rolls everything back when COMMIT fails", (stage) => {
  const { store, a, log } = stage;
  store.database.exec(
    "CREATE TABLE parents (id INTEGER PRIMARY KEY);" +
      "CREATE TABLE children (parent INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
  );
  const error = assertThrows(() =>
    store.transaction(() => {
      store.database.exec("INSERT INTO children VALUES (1)");
      a.pending = changes({ added: [publish(1)] });
    }), ClientError);
  assertStringIncludes(error.message, "FOREIGN KEY constraint failed");
  assertEquals(log.slice(4), ["a rolled back", error, "b rolled back", error]);
  assertEquals(stage.stored(), NOTHING);
});

test("refuses work that waits, whose failure ends nothing else", (stage) => {
  const { store, log } = stage;
  const error = assertThrows(
    () =>
      store.transaction(() => {
        stage.insert("tea");
        return Promise.reject(new Error("too late"));
      }),
    TypeError,
    "must not return a promise",
  );
  assertEquals(log.slice(2), ["a rolled back", error, "b rolled back", error]);
  assertEquals(stage.stored(), NOTHING);
});

test("refuses another transaction, a session, a write and the end within it", (stage) => {
  const { store } = stage;
  store.transaction(() => {
    stage.insert("tea");
    assertThrows(() => store.transaction(() => {}), ClientError, "within a transaction");
    assertThrows(() => store.open("c"), ClientError, "within a transaction");
    assertThrows(() => store.close(), ClientError, "within a transaction");
  });
  const lone = store.open("c");
  store.transaction(() => {
    assertThrows(() => lone.write(changes({ received: [1] })), ClientError, "within a transaction");
  });
  assertEquals(stage.stored(), { ...NOTHING, items: ["tea"] });
});

test("does not take work that has ended the transaction for committed", (stage) => {
  const { store, a, log } = stage;
  for (const end of ["COMMIT", "ROLLBACK"]) {
    log.length = 0;
    const error = assertThrows(() =>
      store.transaction(() => {
        a.pending = changes({ added: [publish(1)] });
        store.database.exec(end);
      }), ClientError);
    assertStringIncludes(error.message, "has ended it");
    assertEquals(log.slice(-4), ["a rolled back", error, "b rolled back", error]);
    a.pending = undefined;
  }
  assertEquals(stage.stored(), NOTHING);
});

test("opens the database at its first use", () => {
  using store = new SqliteSessionStore(":memory:");
  assertEquals(store.transaction(() => store.database.prepare("SELECT 1 AS one").get()?.one), 1);
});

test("lets clients write again as soon as they hear that it is committed", (stage) => {
  const { store, a } = stage;
  const session = store.open("c");
  a.committed = () => session.write(changes({ received: [7] }));
  store.transaction(() => stage.insert("tea"));
  assertEquals(store.database.prepare("SELECT packet_id FROM hbmqtt_received").get()?.packet_id, 7);
});
