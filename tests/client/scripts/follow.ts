// Connects to the URI of the first argument with MQTT 5.0, goes where it is sent, and prints what comes of it.
import { MQTTClient } from "@hbmqtt/client";

const client = new MQTTClient({ config: { protocol_version: 5, follow_redirects: 1 } });
try {
  console.log(await client.connect(Deno.args[0]));
  await client.disconnect();
} catch (error) {
  console.log(String(error));
  Deno.exitCode = 1;
}
