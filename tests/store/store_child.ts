import { type Child, startChild } from "../helpers/child.ts";

/** Starts store_process.ts. */
export function startStoreChild(...args: string[]): Child {
  return startChild("tests/store/store_process.ts", ["-A"], ...args);
}
