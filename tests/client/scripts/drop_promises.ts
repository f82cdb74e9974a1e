// Drops every promise that a client gives, before, while and after its link is lost for good. A single unhandled
// rejection would end this program with an error.
import { MQTTClient } from "@hbmqtt/client";

const [uri] = Deno.args;

function callEverything(client: MQTTClient): void {
  const aborted = { signal: AbortSignal.abort() };
  const controller = new AbortController();
  const { signal } = controller;
  for (const options of [{}, aborted, { signal }]) {
    client.ping(options);
    client.publish("a", "x", options);
    client.publish("a", "x", { qos: 1, ...options });
    client.publish("a", "x", { qos: 2, ...options });
    client.publish("a/#", "x", options);
    client.subscribe("a", 1, options);
    client.subscribe([["a", 1]], options);
    client.subscribe("a/#/b", 1, options);
    client.unsubscribe("a", options);
    client.unsubscribe([], options);
    client.deliverMessage(undefined, options);
    client.deliverMessage(0, options);
    client.deliverMessage(0.01, options);
    client.deliverMessage(-1, options);
    client.connect("nonsense", options);
    client.messages("a", options).next();
  }
  client[Symbol.asyncIterator]().next();
  client.reconnect(aborted);
  client.disconnect({ drain: -1 });
  controller.abort();
}

const config = { auto_reconnect: false };
const client = new MQTTClient({ config });
callEverything(client); // before connect()
await client.connect(uri);
const gone = new Promise((resolve) => client.addEventListener("disconnect", resolve));
client.connect(uri);
callEverything(client); // connected
await gone;
callEverything(client); // given up

const stopped = new MQTTClient({ config });
stopped.connect(uri);
callEverything(stopped); // connecting
await stopped.disconnect();
callEverything(stopped); // ended

// Rejections are reported when the event loop turns.
await new Promise((resolve) => setTimeout(resolve, 20));
console.log("done");
