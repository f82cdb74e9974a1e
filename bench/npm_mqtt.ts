import mqtt from "mqtt";
import type { Connect } from "./client.ts";

/** The npm client. */
export const connect: Connect = async ({ uri, clientId, caFile, protocolVersion }) => {
  const client = await mqtt.connectAsync(uri, {
    clientId,
    protocolVersion,
    reconnectPeriod: 0,
    ca: caFile === undefined ? undefined : [Deno.readTextFileSync(caFile)],
  });
  return {
    publish: (topic, payload, qos) =>
      // The form with a callback costs it less than its own promises.
      new Promise((resolve, reject) =>
        // deno-lint-ignore no-explicit-any
        client.publish(topic, payload as any, { qos }, (error) => error ? reject(error) : resolve(undefined))
      ),
    subscribe(filter, qos, onMessage) {
      // Its documented way to hold the sender up.
      client.handleMessage = (packet, done) => {
        const { topic, payload } = packet as { topic: string; payload: Uint8Array };
        const taken = onMessage(topic, payload);
        if (taken === undefined) done();
        else taken.then(() => done(), done);
      };
      return client.subscribeAsync(filter, { qos });
    },
    end: () => client.endAsync(),
  };
};
