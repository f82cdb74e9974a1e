import { type ApplicationMessage, MQTTClient } from "../mod.ts";
import type { Connect } from "./client.ts";

/** This package's client. */
export const connect: Connect = async ({ uri, clientId, caFile, delivery, window, protocolVersion }) => {
  const config = { keep_alive: 60, auto_reconnect: false, max_inflight: window, protocol_version: protocolVersion };
  const client = new MQTTClient({ clientId, config });
  await client.connect(uri, { caFile });
  return {
    publish: (topic, payload, qos) => client.publish(topic, payload, { qos }),
    subscribe(filter, qos, onMessage) {
      const take = (message: ApplicationMessage) => onMessage(message.topic, message.payload);
      if (delivery === "push") client.onmessage = take;
      else if (delivery === "iterate") iterate(client, take);
      else pull(client, take);
      return client.subscribe([[filter, qos]]);
    },
    end: () => client.disconnect(),
  };
};

type Take = (message: ApplicationMessage) => void | Promise<void>;

async function iterate(client: MQTTClient, take: Take): Promise<void> {
  for await (const message of client) {
    const taken = take(message);
    if (taken !== undefined) await taken;
  }
}

async function pull(client: MQTTClient, take: Take): Promise<void> {
  try {
    for (;;) {
      const taken = take(await client.deliverMessage());
      if (taken !== undefined) await taken;
    }
  } catch {
    // Disconnected.
  }
}
