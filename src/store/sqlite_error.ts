import { ClientError } from "../errors.ts";

/** What SQLite says, which gives its codes for statements only, and what it means for a session store. */
const MEANINGS: readonly [says: RegExp, means: (path: string) => string][] = [
  [
    /is locked/,
    () => "it is in use by another process, or by another store of this one that is not closed: give each its own file",
  ],
  [/not a database/, () => "it is damaged or no SQLite database; nothing in it was changed"],
  [
    /malformed/,
    (path) =>
      `it is damaged; nothing in it was changed: keep a copy, and see what "sqlite3 ${path} .recover" can read of it`,
  ],
  [/disk is full/, () => "the disk is full; what was stored before is kept: make room and try again"],
  [/readonly/, () => "it may not be written: see the permissions of the file and of its folder"],
  [
    /unable to open|I\/O error/,
    () => "it cannot be read, made or written: see whether its folder exists, and the permissions of both",
  ],
];

/** Says what went wrong with a database file, and what to do; an error that says so already becomes a part of it. */
export function sqliteError(action: "open" | "read" | "write to", path: string, cause: unknown): ClientError {
  return new ClientError(`Cannot ${action} the session store ${path}: ${reason(path, cause)}`, { cause });
}

function reason(path: string, cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const { name, message } = cause;
  if (name === "NotCapable") return `run with --allow-read=${path} --allow-write=${path}`;
  const meaning = MEANINGS.find(([says]) => says.test(message))?.[1];
  return meaning === undefined || cause instanceof ClientError ? message : `${meaning(path)} (${message})`;
}
