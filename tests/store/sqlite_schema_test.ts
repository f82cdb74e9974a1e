import { assertEquals, assertThrows } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { ClientError } from "../../src/errors.ts";
import { findDamage, migrate, MIGRATIONS } from "../../src/store/sqlite_schema.ts";
import { SqliteTables } from "../../src/store/sqlite_tables.ts";
import { changes, publish } from "./changes.ts";

const ADD_COLUMN = "ALTER TABLE hbmqtt_clients ADD COLUMN note TEXT NOT NULL DEFAULT 'none'";
const FILL_COLUMN = "UPDATE hbmqtt_clients SET note = 'v3 ' || client_id";

function versionOf(database: DatabaseSync): unknown {
  return database.prepare("SELECT version FROM hbmqtt_schema").all().map(({ version }) => version);
}

/** Makes a database of version 1 with a publish of client "a". */
function filled(): DatabaseSync {
  const database = new DatabaseSync(":memory:");
  migrate(database);
  const tables = new SqliteTables(database);
  tables.write(tables.client("a"), changes({ added: [publish(1)], lastPacketId: 1 }));
  return database;
}

Deno.test("migrate() makes the tables of an empty database, and leaves those that are up to date", () => {
  using database = filled();
  assertEquals(versionOf(database), [MIGRATIONS.length]);
  assertEquals(findDamage(database), undefined);
  migrate(database);
  assertEquals(versionOf(database), [MIGRATIONS.length]);
  const tables = new SqliteTables(database);
  assertEquals(tables.read(tables.client("a")).publishes, [publish(1)]);
});

Deno.test("migrate() does the steps that are missing, in order, and keeps what is stored", () => {
  using database = filled();
  migrate(database, [...MIGRATIONS, ADD_COLUMN, FILL_COLUMN]);
  assertEquals(versionOf(database), [MIGRATIONS.length + 2]);
  assertEquals(database.prepare("SELECT note FROM hbmqtt_clients").get()?.note, "v3 a");
  const tables = new SqliteTables(database);
  const client = tables.client("a");
  assertEquals(tables.read(client), { publishes: [publish(1)], received: [], subscriptions: [], lastPacketId: 1 });
  tables.write(client, changes({ added: [publish(2)] }));
  migrate(database, [...MIGRATIONS, ADD_COLUMN, FILL_COLUMN]);
  assertEquals(tables.read(client).publishes, [publish(1), publish(2)]);
});

Deno.test("migrate() does all steps for an empty database", () => {
  using database = new DatabaseSync(":memory:");
  migrate(database, [...MIGRATIONS, ADD_COLUMN, FILL_COLUMN]);
  assertEquals(versionOf(database), [MIGRATIONS.length + 2]);
});

Deno.test("migrate() leaves everything as it was when a step fails", () => {
  using database = filled();
  assertThrows(() => migrate(database, [...MIGRATIONS, ADD_COLUMN, "NONSENSE"]), Error, "syntax error");
  assertEquals(database.isTransaction, false);
  assertEquals(versionOf(database), [MIGRATIONS.length]);
  const columns = database.prepare("PRAGMA table_info(hbmqtt_clients)").all().map(({ name }) => name);
  assertEquals(columns, ["client", "client_id", "last_packet_id"]);
});

Deno.test("migrate() refuses a later version and leaves it as it is", () => {
  using database = filled();
  migrate(database, [...MIGRATIONS, ADD_COLUMN]);
  assertThrows(() => migrate(database), ClientError, "by a later version of this package (its tables have version 2");
  assertEquals(database.isTransaction, false);
  assertEquals(versionOf(database), [MIGRATIONS.length + 1]);
});

Deno.test("MIGRATIONS makes tables whose names are unmistakable", () => {
  using database = filled();
  const names = database.prepare("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL").all();
  for (const { name } of names) assertEquals(String(name).startsWith("hbmqtt_"), true, String(name));
});
