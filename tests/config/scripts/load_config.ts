// Prints the configuration in a file, or why there is none.
import { loadConfig } from "@hbmqtt/client";

try {
  console.log(await loadConfig(Deno.args[0]));
} catch (error) {
  console.log(String(error));
  Deno.exitCode = 1;
}
