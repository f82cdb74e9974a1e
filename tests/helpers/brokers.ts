import { startEmbeddedBroker } from "./embedded_broker.ts";
import {
  type ListenerName,
  type Mosquitto,
  mosquittoAvailable,
  type MosquittoOptions,
  startMosquitto,
} from "./mosquitto.ts";

/** What every broker of the tests has: the URI of a listener for MQTT over TCP. */
export interface Broker {
  readonly uri: string;
}

type BrokerTest<B> = (broker: B, context: Deno.TestContext) => Promise<void> | void;

/**
 * Registers a test with a mosquitto of its own. Where the machine has none, the test is ignored, or fails if
 * REQUIRE_BROKERS is 1. When it fails, the broker's log is printed.
 */
export function brokerTest<const Name extends ListenerName = "mqtt">(
  name: string,
  options: MosquittoOptions<Name>,
  test: BrokerTest<Mosquitto<Name>>,
): void {
  const required = Deno.env.get("REQUIRE_BROKERS") === "1";
  const ignore = !required && !mosquittoAvailable(options.listeners);
  Deno.test({
    name,
    ignore,
    fn: async (context) => {
      await using broker = await startMosquitto(options);
      try {
        await test(broker, context);
      } catch (error) {
        console.error(`mosquitto said:\n${broker.log}`);
        throw error;
      }
    },
  });
}

/** Registers a test twice: with the embedded broker, which every machine has, and with mosquitto. */
export function everyBrokerTest(name: string, test: BrokerTest<Broker>): void {
  Deno.test(`${name} (embedded broker)`, async (context) => {
    await using broker = await startEmbeddedBroker();
    await test(broker, context);
  });
  brokerTest(`${name} (mosquitto)`, {}, (broker, context) => test({ uri: broker.uris.mqtt }, context));
}
