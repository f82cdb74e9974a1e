import { assert, assertEquals, assertInstanceOf, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ClientError } from "../../src/errors.ts";
import { MIGRATIONS } from "../../src/store/sqlite_schema.ts";
import { SqliteSessionStore } from "../../src/store/sqlite_session_store.ts";
import { runChild } from "../helpers/child.ts";
import { changes, publish, subscription } from "./changes.ts";
import { sessionStoreContract } from "./contract.ts";
import { startStoreChild } from "./store_child.ts";

for (const synchronous of ["full", "normal"] as const) {
  sessionStoreContract(`SqliteSessionStore (${synchronous})`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "store-" });
    const path = join(folder, "session.db");
    const store = new SqliteSessionStore(path, { synchronous });
    const next = new SqliteSessionStore(path, { synchronous });
    return {
      store,
      reopen: () => {
        store.close();
        return Promise.resolve(next);
      },
      [Symbol.asyncDispose]: async () => {
        store.close();
        next.close();
        await Deno.remove(folder, { recursive: true });
      },
    };
  });
}

/** Registers a test that gets the path of a file that does not exist, alone in a folder. */
function test(sentence: string, fn: (path: string) => void | Promise<void>): void {
  Deno.test(`SqliteSessionStore ${sentence}`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "store-" });
    try {
      await fn(join(folder, "session.db"));
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

function open(path: string | URL): void {
  using store = new SqliteSessionStore(path);
  store.open("client");
}

/** Checks that the database cannot be opened, and why. */
function assertUnopenable(path: string, reason: string): void {
  const error = assertThrows(() => open(path), ClientError, `Cannot open the session store ${path}: ${reason}`);
  assertInstanceOf(error.cause, Error);
}

/** Makes a database with one publish of each of two clients. */
function fill(path: string): void {
  using store = new SqliteSessionStore(path);
  for (const clientId of ["a", "b"]) {
    store.open(clientId).write(changes({
      added: [publish(1)],
      received: [1],
      subscribed: [subscription("a", 1)],
    }));
  }
}

async function publishesOf(path: string): Promise<unknown[]> {
  using store = new SqliteSessionStore(path);
  const sessions = await Promise.all(["a", "b"].map((clientId) => store.open(clientId).read()));
  return sessions.map(({ publishes }) => publishes);
}

const FILLED = [[publish(1)], [publish(1)]];

// The file.

test("touches no file before it is needed, and has only its log beside it", async (path) => {
  const names = async () => (await Array.fromAsync(Deno.readDir(join(path, "..")))).map(({ name }) => name).sort();
  using store = new SqliteSessionStore(path);
  assertEquals(await names(), []);
  const session = store.open("client");
  assertEquals(await names(), ["session.db", "session.db-wal"]);
  await session.close();
  assertEquals(await names(), ["session.db"]);
});

test("takes a file: URL, with what is escaped in it", async (path) => {
  const url = pathToFileURL(`${path} #1?`);
  open(url);
  assert((await Deno.stat(`${path} #1?`)).isFile);
});

Deno.test("SqliteSessionStore refuses what is no path and no way of writing", () => {
  assertThrows(() => new SqliteSessionStore(new URL("http://localhost/session.db")), TypeError, "file: URL");
  assertThrows(() => new SqliteSessionStore(""), TypeError, "must not be empty");
  const options: { synchronous?: "full" } = JSON.parse('{ "synchronous": "off" }');
  assertThrows(() => new SqliteSessionStore("x", options), TypeError, 'must be "full" or "normal", not "off"');
});

test("waits for the disk as it is told to", (path) => {
  for (const [synchronous, level] of [["full", 2], ["normal", 1]] as const) {
    using store = new SqliteSessionStore(path, { synchronous });
    assertEquals(store.database.prepare("PRAGMA synchronous").get()?.synchronous, level);
    assertEquals(store.database.prepare("PRAGMA journal_mode").get()?.journal_mode, "wal");
  }
});

test("closes the file with the last session, unless the application uses the database", async (path) => {
  using store = new SqliteSessionStore(path), other = new SqliteSessionStore(path);
  const a = store.open("a"), b = store.open("b");
  await a.close();
  assertThrows(() => other.open("a"), ClientError, "is in use");
  await b.close();
  await other.open("a").close();
  const { database } = store;
  await store.open("a").close();
  assertThrows(() => other.open("a"), ClientError, "is in use");
  assert(database.isOpen);
  store.close();
  await other.open("a").close();
});

test("refuses to write what was open when it was closed, and opens anew", async (path) => {
  using store = new SqliteSessionStore(path);
  const old = store.open("client");
  store.close();
  const error = assertThrows(() => old.write(changes({ received: [1] })), ClientError);
  assertEquals(error.message, `Cannot write to the session store ${path}: it was closed`);
  const next = store.open("client");
  await old.close();
  next.write(changes({ received: [2] }));
  assertEquals((await next.read()).received, [2]);
});

test("leaves the application's tables, user_version and application_id alone", (path) => {
  {
    using store = new SqliteSessionStore(path);
    store.database.exec("CREATE TABLE orders (item TEXT); INSERT INTO orders VALUES ('tea')");
    store.database.exec("PRAGMA user_version = 77; PRAGMA application_id = 78");
  }
  fill(path);
  using store = new SqliteSessionStore(path);
  const { database } = store;
  assertEquals(database.prepare("SELECT item FROM orders").get()?.item, "tea");
  assertEquals(database.prepare("PRAGMA user_version").get()?.user_version, 77);
  assertEquals(database.prepare("PRAGMA application_id").get()?.application_id, 78);
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").all();
  assertEquals(tables.map(({ name }) => name), [
    "hbmqtt_clients",
    "hbmqtt_publishes",
    "hbmqtt_received",
    "hbmqtt_schema",
    "hbmqtt_subscriptions",
    "orders",
  ]);
});

test("keeps to its statements when the application has begun a transaction by itself", async (path) => {
  using store = new SqliteSessionStore(path);
  const session = store.open("client");
  store.database.exec("BEGIN; CREATE TABLE mine (a)");
  assertThrows(
    () => session.write(changes({ received: [1] })),
    ClientError,
    "the application has begun a transaction and not ended it",
  );
  assertThrows(() => store.transaction(() => {}), ClientError, "the application has begun a transaction");
  store.database.exec("COMMIT");
  assertEquals(store.database.prepare("SELECT * FROM mine").all(), []);
  session.write(changes({ received: [2] }));
  assertEquals((await session.read()).received, [2]);
});

// What goes wrong.

test("is refused while another store has the file", (path) => {
  using store = new SqliteSessionStore(path);
  store.open("client");
  assertUnopenable(path, "it is in use by another process, or by another store");
});

test("is refused while another process has the file, and is not when that was killed", async (path) => {
  fill(path);
  await using child = startStoreChild("open", path);
  assertEquals(await child.line(), "open");
  assertUnopenable(path, "it is in use by another process");
  assertStringIncludes(await firstLine("open", path), "ClientError: Cannot open the session store");
  await child.kill();
  assertEquals(await publishesOf(path), FILLED);
});

async function firstLine(...args: string[]): Promise<string> {
  await using child = startStoreChild(...args);
  return await child.line() ?? "";
}

test("says which permissions are missing", async (path) => {
  const child = (...permissions: string[]) => runChild("tests/store/store_process.ts", permissions, "open", path);
  const read = `--allow-read=${path}`, write = `--allow-write=${path}`;
  assertEquals(await child(read, write), { code: 0, stdout: "open\n", stderr: "" });
  for (const permissions of [[], [read], [write]]) {
    const stdout = `ClientError: Cannot open the session store ${path}: run with ${read} ${write}\n`;
    assertEquals(await child(...permissions), { code: 0, stdout, stderr: "" });
  }
});

test("says that the runtime has no SQLite", async (path) => {
  assertEquals(
    await firstLine("without", path),
    `ClientError: Cannot open the session store ${path}: this runtime has no node:sqlite`,
  );
});

test("says that a folder is missing, or that a path is one of a folder", (path) => {
  assertUnopenable(join(path, "missing", "session.db"), "it cannot be read, made or written: see whether its folder");
  assertUnopenable(join(path, ".."), "it cannot be read, made or written");
});

test("says that a file may not be written, and leaves it as it is", async (path) => {
  fill(path);
  const before = await Deno.readFile(path);
  assertUnopenable(`file:${path}?mode=ro`, "it ");
  assertEquals(await Deno.readFile(path), before);
});

test("rejects what may not be written any more", async (path) => {
  using store = new SqliteSessionStore(path);
  const session = store.open("client");
  store.database.exec("PRAGMA query_only = 1");
  assertThrows(
    () => session.write(changes({ received: [1] })),
    ClientError,
    "it may not be written: see the permissions",
  );
  store.database.exec("PRAGMA query_only = 0");
  session.write(changes({ received: [2] }));
  assertEquals((await session.read()).received, [2]);
});

test("says that a file is no database, and leaves it as it is", async (path) => {
  const text = "Not a database at all.\n".repeat(1000);
  await Deno.writeTextFile(path, text);
  assertUnopenable(path, "it is damaged or no SQLite database; nothing in it was changed");
  assertEquals(await Deno.readTextFile(path), text);
});

test("says that a file is damaged, wherever one of its pages is overwritten, and leaves it as it is", async (path) => {
  fill(path);
  const whole = await Deno.readFile(path);
  const pageSize = 4096;
  for (let at = pageSize; at < whole.length; at += pageSize) {
    const damaged = whole.slice().fill(0x5a, at, at + pageSize);
    await Deno.writeFile(path, damaged);
    assertUnopenable(path, "it is damaged; nothing in it was changed: keep a copy");
    assertEquals(await Deno.readFile(path), damaged, `page ${at / pageSize + 1}`);
  }
  await Deno.writeFile(path, whole);
  assertEquals(await publishesOf(path), FILLED);
});

test("says that a file is damaged when it is cut off", async (path) => {
  fill(path);
  await Deno.truncate(path, (await Deno.stat(path)).size - 4096);
  assertUnopenable(path, "it is damaged");
});

test("refuses a file of a later version, and leaves it as it is", (path) => {
  fill(path);
  {
    using store = new SqliteSessionStore(path);
    store.database.exec(`UPDATE hbmqtt_schema SET version = ${MIGRATIONS.length + 1}`);
  }
  assertUnopenable(
    path,
    "it was written by a later version of this package (its tables have version 2, this one knows",
  );
});

test("rejects what a full disk does not take, keeps what was there, and goes on when there is room", async (path) => {
  using store = new SqliteSessionStore(path);
  const session = store.open("client");
  const kept = [publish(1), publish(2)];
  session.write(changes({ added: kept, lastPacketId: 2 }));
  const large = publish(3, { payload: new Uint8Array(1_000_000) });
  const batch = changes({ removed: [1], added: [large], received: [1], lastPacketId: 3 });
  const pages = Number(store.database.prepare("PRAGMA page_count").get()?.page_count);
  store.database.exec(`PRAGMA max_page_count = ${pages}`);
  for (let i = 0; i < 2; i++) {
    const error = assertThrows(() => session.write(batch), ClientError);
    assertStringIncludes(error.message, `Cannot write to the session store ${path}: the disk is full`);
    assertEquals(await session.read(), { publishes: kept, received: [], subscriptions: [], lastPacketId: 2 });
  }
  store.database.exec("PRAGMA max_page_count = 10000");
  session.write(batch);
  assertEquals((await session.read()).publishes, [publish(2), large]);
});
