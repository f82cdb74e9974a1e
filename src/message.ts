import type { Properties } from "./properties.ts";
import type { PubackPacket, PubcompPacket, PublishPacket, PubrecPacket, PubrelPacket, QoS } from "./packets.ts";

/** What sends the acknowledgement when the application gives it. */
export interface Acknowledger {
  /** Acknowledges a received message. */
  acknowledge(message: ApplicationMessage): void;
}

const decoder = new TextDecoder();

/** An application message, received or published, with the packets of its flow. */
export class ApplicationMessage {
  /** The PUBLISH packet that carried it; of several sendings the last. */
  publishPacket: PublishPacket;
  /** The PUBACK that answered it, for QoS 1. */
  pubackPacket: PubackPacket | undefined = undefined;
  /** The PUBREC that answered it, for QoS 2. */
  pubrecPacket: PubrecPacket | undefined = undefined;
  /** The PUBREL of its flow, for QoS 2. */
  pubrelPacket: PubrelPacket | undefined = undefined;
  /** The PUBCOMP that ended its flow, for QoS 2. */
  pubcompPacket: PubcompPacket | undefined = undefined;
  readonly #acknowledger: Acknowledger | undefined;

  /** Wraps a PUBLISH packet; without an acknowledger {@linkcode ack} does nothing. */
  constructor(publishPacket: PublishPacket, acknowledger?: Acknowledger) {
    this.publishPacket = publishPacket;
    this.#acknowledger = acknowledger;
  }

  /** The topic name. */
  get topic(): string {
    return this.publishPacket.topic;
  }

  /**
   * The content. It is not copied: a received one shares its buffer with the other messages of the same read, so keep
   * `payload.slice()` if a few small messages are to be kept for long. A read is 64 KiB at most, but of a WebSocket one of its
   * messages, and of a transport of the application's what that gives; a message that came in several has a buffer of its own.
   * A published one is the caller's own buffer.
   */
  get payload(): Uint8Array {
    return this.publishPacket.payload;
  }

  /** The Quality of Service that it was sent with. */
  get qos(): QoS {
    return this.publishPacket.qos;
  }

  /** Whether it was kept by the broker from before the subscription (received) or is to be kept (published). */
  get retain(): boolean {
    return this.publishPacket.retain;
  }

  /** Whether it may have been sent before. */
  get dup(): boolean {
    return this.publishPacket.dup;
  }

  /** The Packet Identifier, 1…65,535; 0 for QoS 0. */
  get packetId(): number {
    return this.publishPacket.packetId;
  }

  /** The properties (MQTT 5.0), empty on 3.1.1. */
  get properties(): Properties {
    return this.publishPacket.properties;
  }

  /** Gives the payload read as UTF-8, U+FFFD where it is not. */
  text(): string {
    return decoder.decode(this.payload);
  }

  /**
   * Gives the payload read as JSON.
   *
   * @throws {SyntaxError} If the payload is not JSON.
   */
  json<T = unknown>(): T {
    return JSON.parse(this.text());
  }

  /**
   * Acknowledges a received message of QoS 1 or 2 where `manual_ack` is on: PUBACK or PUBREC goes out when those of
   * all messages received before it with the same QoS have. Does nothing otherwise: with `manual_ack` off, for QoS 0,
   * the second time, or when the connection that the message came on is gone (the broker sends it again on the next).
   *
   * In a transaction of the session store (`transaction()`) a QoS 2 message whose connection is gone is acknowledged all the same: the repeat
   * is not delivered.
   *
   * @throws {ClientError} If it has been delivered already, so that the transaction is rolled back, and its work done for the repeat alone.
   * @see MQTT 3.1.1, §4.6
   */
  ack(): void {
    this.#acknowledger?.acknowledge(this);
  }
}
