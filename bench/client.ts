/** What a benchmark needs of a client. */
export interface BenchClient {
  /** Publishes; the promise is that of the client itself. */
  publish(topic: string, payload: Uint8Array, qos: 0 | 1 | 2): Promise<unknown>;
  /** Subscribes, and hands every message to `onMessage`; a promise that it returns holds up the next. */
  subscribe(
    filter: string,
    qos: 0 | 1 | 2,
    onMessage: (topic: string, payload: Uint8Array) => void | Promise<void>,
  ): Promise<unknown>;
  end(): Promise<unknown>;
}

/** How messages are taken: handed over, by `for await`, or asked for one by one. */
export type Delivery = "push" | "iterate" | "pull";

export interface ConnectSettings {
  uri: string;
  clientId: string;
  caFile: string | undefined;
  delivery: Delivery;
  /** How many QoS 1 and 2 publishes are under way at the most. */
  window: number;
  protocolVersion: 4 | 5;
}

export type Connect = (settings: ConnectSettings) => Promise<BenchClient>;
