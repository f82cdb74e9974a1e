import { type Child, startChild } from "../helpers/child.ts";

/** Starts store_process.ts. */
export function startStoreChild(...args: string[]): Child {
  return startChild(new URL("store_process.ts", import.meta.url), ...args);
}
