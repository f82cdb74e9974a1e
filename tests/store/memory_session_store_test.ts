import { MemorySessionStore } from "../../src/store/memory_session_store.ts";
import { sessionStoreContract } from "./contract.ts";

sessionStoreContract("MemorySessionStore", () => {
  const store = new MemorySessionStore();
  return Promise.resolve({
    store,
    reopen: () => Promise.resolve(store),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  });
});
