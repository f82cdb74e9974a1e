import type { DatabaseSync } from "node:sqlite";
import { ClientError } from "../errors.ts";
import type { OpenedSession, SessionChanges, SessionParticipant, SessionStore } from "./session_store.ts";
import type { StoredSession } from "../stored_session.ts";
import { sqliteError } from "./sqlite_error.ts";
import { findDamage, migrate } from "./sqlite_schema.ts";
import { SqliteTables } from "./sqlite_tables.ts";

/** How a {@linkcode SqliteSessionStore} writes. */
export interface SqliteSessionStoreOptions {
  /**
   * What is certain when a write has returned. Either way what was written survives the end of the process, however it comes, SIGKILL too,
   * and the file is never left damaged.
   *
   * - `"full"`: it survives a power failure and a crash of the operating system too. Each write waits for the disk: some milliseconds on a
   *   hard disk, a fraction of one on a good SSD. All that happens in one turn of the event loop is one write.
   * - `"normal"`: a power failure may take the last writes with it. Nothing waits for the disk but an occasional checkpoint.
   *
   * @default {"full"}
   */
  synchronous?: "full" | "normal" | undefined;
}

/** The open file. */
interface File {
  readonly database: DatabaseSync;
  readonly tables: SqliteTables;
}

/**
 * Keeps sessions in an SQLite database, so that they survive the process: what was published and not acknowledged, the identifiers of received
 * QoS 2 messages, and the subscriptions, of any number of clients.
 *
 * ```ts
 * import { MQTTClient, SqliteSessionStore } from "@hbmqtt/client";
 *
 * const store = new SqliteSessionStore("session.db");
 * await using client = new MQTTClient({ clientId: "sensor-7", config: { cleansession: false }, store });
 * ```
 *
 * The database is opened when it is first needed, and belongs to this store alone until it is closed: by {@linkcode close}, or with the last
 * client that uses it unless the application has asked for {@linkcode database}. Another store or process that tries to use the file
 * meanwhile gets a {@linkcode ClientError}; when a process dies, its hold on the file dies with it.
 *
 * Deno needs `--allow-read=FILE --allow-write=FILE` for it, and no more for the write-ahead log, which is beside the file while that is open
 * (`FILE-wal`) and is a part of it: copy or move both, or neither, and not from the process that has it open, which would lose its hold on it.
 * The tables of the sessions have names that begin with `hbmqtt_`; all others are the application's, and so are `user_version` and
 * `application_id`. Space that is no longer used is used again, but the file does not shrink.
 */
export class SqliteSessionStore implements SessionStore, Disposable {
  readonly #path: string | URL;
  readonly #synchronous: "full" | "normal";
  #file: File | undefined = undefined;
  #keepOpen = false;
  #inTransaction = false;
  readonly #sessions = new Map<string, SqliteSession>();

  /**
   * Takes the path of the database, which is not opened yet; a file that does not exist is made then, in a folder that does.
   *
   * @param path the path or the `file:` URL of the database
   * @throws {TypeError} If `path` is neither or empty, or `synchronous` is something else.
   */
  constructor(path: string | URL, options: SqliteSessionStoreOptions = {}) {
    const { synchronous = "full" } = options;
    if (typeof path !== "string" && !(path instanceof URL && path.protocol === "file:")) {
      throw new TypeError("The path of a session store must be a string or a file: URL");
    }
    // SQLite would take it for a file of its own that it deletes in the end.
    if (path === "") throw new TypeError("The path of a session store must not be empty");
    if (synchronous !== "full" && synchronous !== "normal") {
      throw new TypeError(`synchronous must be "full" or "normal", not ${JSON.stringify(synchronous)}`);
    }
    this.#path = path;
    this.#synchronous = synchronous;
  }

  /**
   * The database, for the application's own tables and statements; opened if it is not yet, and from now on until {@linkcode close}.
   * Statements outside of a {@linkcode transaction} are transactions of their own; a `BEGIN` of the application's must be ended in the
   * same turn of the event loop, since clients cannot store anything until it is.
   *
   * @throws {ClientError} If it cannot be opened: a permission is missing, it is in use, it is damaged, a later version has written it.
   */
  get database(): DatabaseSync {
    const { database } = this.#openFile();
    this.#keepOpen = true;
    return database;
  }

  /** Whether the work of a {@linkcode transaction} is being done. */
  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /**
   * Opens the session of a client, for it alone; clients do this themselves.
   *
   * @param clientId the Client Identifier; any string, the empty one too
   * @param participant the client's part in transactions; without it the session takes no part in them
   * @throws {ClientError} If the session is open already, a transaction is under way, or the database cannot be opened.
   */
  open(clientId: string, participant?: SessionParticipant): OpenedSession {
    if (this.#sessions.has(clientId)) {
      throw new ClientError(`The session of client "${clientId}" is open already: close the other client first`);
    }
    if (this.#inTransaction) throw new ClientError("Cannot open a session within a transaction");
    const file = this.#openFile();
    const client = this.#doing("open", () => file.tables.client(clientId));
    const session: SqliteSession = {
      participant,
      read: () => this.#doing("read", () => file.tables.read(client)),
      write: (changes) => this.#commit(file, () => file.tables.write(client, changes)),
      join: (changes) => file.tables.write(client, changes),
      close: () => {
        if (this.#sessions.get(clientId) !== session) return;
        this.#sessions.delete(clientId);
        if (this.#sessions.size === 0 && !this.#keepOpen) this.close();
      },
    };
    this.#sessions.set(clientId, session);
    return session;
  }

  /**
   * Does work in one transaction: the statements that it runs on {@linkcode database}, and what it publishes and acknowledges by clients of
   * this store, are stored together or not at all. The packets leave when the transaction is committed. If it is not, its publishes reject and
   * its acknowledgements are not sent.
   *
   * ```ts
   * import { type MQTTClient, QOS_1, type SqliteSessionStore } from "@hbmqtt/client";
   *
   * function order(store: SqliteSessionStore, client: MQTTClient, item: string): Promise<unknown> {
   *   return store.transaction(() => {
   *     store.database.prepare("INSERT INTO orders (item) VALUES (?)").run(item);
   *     return { published: client.publish("orders", item, { qos: QOS_1 }) };
   *   }).published;
   * }
   * ```
   *
   * @param work what is to be done; it may not wait for anything
   * @returns what the work returns
   * @throws {ClientError} If the database cannot be opened or written, within another transaction, or if the work has ended the transaction.
   * @throws {TypeError} If the work returns a promise.
   * @throws what the work throws; then nothing is stored.
   */
  transaction<Result>(work: () => Result): Result {
    if (this.#inTransaction) throw new ClientError("Cannot begin a transaction within a transaction");
    const { database } = this;
    const sessions = [...this.#sessions.values()];
    for (const session of sessions) writeChanges(session);
    let result: Result;
    this.#begin(database);
    this.#inTransaction = true;
    try {
      result = work();
      if (isPromise(result)) {
        if (result instanceof Promise) result.catch(() => {}); // Nobody else gets it.
        throw new TypeError(
          "The work of a transaction must not return a promise: what it waits for would come too late",
        );
      }
      if (!database.isTransaction) {
        throw new ClientError("The work of a transaction has ended it, or an error of SQLite's has");
      }
      this.#doing("write to", () => {
        for (const { participant, join } of sessions) {
          const changes = participant?.changes();
          if (changes !== undefined) join(changes);
        }
        database.exec("COMMIT");
      });
    } catch (error) {
      this.#inTransaction = false;
      rollBack(database);
      for (const { participant } of sessions) participant?.rolledBack(error);
      throw error;
    }
    this.#inTransaction = false;
    for (const { participant } of sessions) participant?.committed();
    return result;
  }

  /**
   * Closes the database, so that others can use the file. Clients that still use the store cannot store anything any more, and so cannot publish
   * or acknowledge. Does nothing if it is not open; it is opened again when it is needed again.
   *
   * @throws {ClientError} If it is called within a transaction.
   */
  close(): void {
    if (this.#inTransaction) throw new ClientError("Cannot close a session store within a transaction");
    const file = this.#file;
    this.#file = undefined;
    this.#keepOpen = false;
    this.#sessions.clear();
    if (file?.database.isOpen) file.database.close();
  }

  /** Closes the database, as {@linkcode close} does. */
  [Symbol.dispose](): void {
    this.close();
  }

  #openFile(): File {
    return this.#file ??= this.#doing("open", () => openFile(this.#path, this.#synchronous));
  }

  #commit({ database }: File, work: () => void): void {
    if (this.#inTransaction) throw new ClientError("Cannot write to a session by itself within a transaction");
    this.#begin(database);
    try {
      this.#doing("write to", () => {
        work();
        database.exec("COMMIT");
      });
    } catch (error) {
      rollBack(database);
      throw error;
    }
  }

  #begin(database: DatabaseSync): void {
    this.#doing("write to", () => {
      if (!database.isOpen) throw new ClientError("it was closed");
      if (database.isTransaction) {
        throw new ClientError(
          "the application has begun a transaction and not ended it; there is transaction() for this",
        );
      }
      database.exec("BEGIN IMMEDIATE");
    });
  }

  #doing<Result>(action: Parameters<typeof sqliteError>[0], work: () => Result): Result {
    try {
      return work();
    } catch (error) {
      const path = this.#path;
      throw sqliteError(action, path instanceof URL ? decodeURIComponent(path.pathname) : path, error);
    }
  }
}

interface SqliteSession extends OpenedSession {
  readonly participant: SessionParticipant | undefined;
  read(): StoredSession;
  write(changes: SessionChanges): void;
  /** Writes within the transaction that is under way. */
  join(changes: SessionChanges): void;
  close(): void;
}

/** Writes what a client has changed and not written yet. */
function writeChanges({ participant, write }: SqliteSession): void {
  const changes = participant?.changes();
  if (changes === undefined) return;
  try {
    write(changes);
  } catch (error) {
    participant?.rolledBack(error);
    throw error;
  }
  participant?.committed();
}

function openFile(path: string | URL, synchronous: "full" | "normal"): File {
  // No import: this module is loaded where there is no SQLite too.
  const sqlite: typeof import("node:sqlite") | undefined = globalThis.process?.getBuiltinModule?.("node:sqlite");
  if (sqlite === undefined) throw new ClientError("this runtime has no node:sqlite");
  const database = new sqlite.DatabaseSync(path);
  try {
    // In this order, so that there is no shared memory, and nobody else reads or writes the file from now on.
    database.exec("PRAGMA locking_mode = EXCLUSIVE");
    database.exec("PRAGMA journal_mode = WAL");
    // fullfsync: what others mean by fsync is this on macOS.
    database.exec(`PRAGMA synchronous = ${synchronous}; PRAGMA fullfsync = ${synchronous === "full"}`);
    migrate(database);
    const damage = findDamage(database);
    if (damage !== undefined) throw new Error(`database disk image is malformed: ${damage}`);
    return { database, tables: new SqliteTables(database) };
  } catch (error) {
    database.close();
    throw error;
  }
}

/** SQLite has done it itself after some errors. */
function rollBack(database: DatabaseSync): void {
  if (database.isOpen && database.isTransaction) database.exec("ROLLBACK");
}

function isPromise(value: unknown): boolean {
  return typeof value === "object" && value !== null && "then" in value;
}
