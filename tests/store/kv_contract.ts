// Run by kv_store_test.ts with --unstable-kv, without which there is no Deno.openKv().
import { join } from "node:path";
import { KvSessionStore } from "../../examples/kv_store.ts";
import { sessionStoreContract } from "./contract.ts";

sessionStoreContract("KvSessionStore", async () => {
  const folder = await Deno.makeTempDir({ prefix: "store-" });
  const path = join(folder, "kv");
  let kv = await Deno.openKv(path);
  return {
    store: new KvSessionStore(kv),
    reopen: async () => {
      kv.close();
      kv = await Deno.openKv(path);
      return new KvSessionStore(kv);
    },
    [Symbol.asyncDispose]: async () => {
      kv.close();
      await Deno.remove(folder, { recursive: true });
    },
  };
});
