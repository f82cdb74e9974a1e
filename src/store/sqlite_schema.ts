import type { DatabaseSync } from "node:sqlite";
import { ClientError } from "../errors.ts";

/**
 * What makes each version of the tables out of the one before it; the first out of nothing. A step that has been released is never changed.
 * There are no CHECKs, which would take as long as all the rest of an INSERT. The version is in a table, since `user_version` and
 * `application_id` are the application's, whose own tables are in the same file.
 */
export const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE hbmqtt_clients (
    client INTEGER PRIMARY KEY,
    client_id TEXT NOT NULL UNIQUE,
    last_packet_id INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE TABLE hbmqtt_publishes (
    client INTEGER NOT NULL,
    id INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    state TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    topic TEXT NOT NULL,
    qos INTEGER NOT NULL,
    retain INTEGER NOT NULL,
    properties TEXT,
    expires_at INTEGER,
    payload BLOB NOT NULL,
    PRIMARY KEY (client, id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE hbmqtt_received (
    client INTEGER NOT NULL,
    packet_id INTEGER NOT NULL,
    PRIMARY KEY (client, packet_id)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE hbmqtt_subscriptions (
    position INTEGER PRIMARY KEY,
    client INTEGER NOT NULL,
    topic_filter TEXT NOT NULL,
    qos INTEGER NOT NULL,
    no_local INTEGER NOT NULL,
    retain_as_published INTEGER NOT NULL,
    retain_handling INTEGER NOT NULL,
    properties TEXT,
    group_number INTEGER NOT NULL,
    UNIQUE (client, topic_filter)
  ) STRICT;
  `,
];

/**
 * Brings the tables of a database up to date: in one transaction, so that a step that fails leaves what was there.
 *
 * @throws {ClientError} If they are of a later version than the last of `migrations`.
 */
export function migrate(database: DatabaseSync, migrations: readonly string[] = MIGRATIONS): void {
  database.exec("BEGIN EXCLUSIVE");
  try {
    database.exec("CREATE TABLE IF NOT EXISTS hbmqtt_schema (version INTEGER NOT NULL) STRICT");
    const version = Number(database.prepare("SELECT max(version) AS version FROM hbmqtt_schema").get()?.version ?? 0);
    if (version > migrations.length) {
      throw new ClientError(
        `it was written by a later version of this package (its tables have version ${version}, this one knows up to ` +
          `${migrations.length}): use that version, or another file`,
      );
    }
    for (const step of migrations.slice(version)) database.exec(step);
    if (version < migrations.length) {
      database.exec("DELETE FROM hbmqtt_schema");
      database.prepare("INSERT INTO hbmqtt_schema VALUES (?)").run(migrations.length);
    }
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** Gives what is wrong with the tables, `undefined` if nothing is. */
export function findDamage(database: DatabaseSync): string | undefined {
  for (const table of ["schema", "clients", "publishes", "received", "subscriptions"]) {
    const verdict = database.prepare(`PRAGMA quick_check(hbmqtt_${table})`).get()?.quick_check;
    if (verdict !== "ok") return String(verdict);
  }
  return undefined;
}
