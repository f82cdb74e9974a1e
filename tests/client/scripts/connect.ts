// Connects to the URI of the first argument and prints what comes of it.
import { ConnectError, MQTTClient } from "@hbmqtt/client";

const client = new MQTTClient();
try {
  console.log(await client.connect(Deno.args[0]));
  await client.disconnect();
} catch (error) {
  if (!(error instanceof ConnectError)) throw error;
  console.log(error.message);
  Deno.exitCode = 1;
}
