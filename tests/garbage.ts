import v8 from "node:v8";
import vm from "node:vm";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc");

/** Gives how many bytes of array buffers are reachable. */
export function heldBytes(): number {
  collect();
  return Deno.memoryUsage().external;
}
