import { join } from "node:path";
import { SqliteSessionStore } from "../../src/store/sqlite_session_store.ts";
import { sessionStoreContract } from "./contract.ts";

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
