import type { ApplicationMessage } from "../message.ts";
import type { AuthPacket, Packet } from "../packets.ts";
import type { PublishFlow } from "./flow.ts";

/** What a session asks of its surroundings; done at once and in order. */
export interface Effects {
  /**
   * Sends a packet on the present connection. Gives how many bytes more the write buffer takes; if none, by how many it is exceeded, as a
   * negative number, and `Session.writable()` is called when it takes more. The payload must not change before that where it takes no more;
   * where it does, it was copied.
   */
  send(packet: Packet): number;
  /** Gives the size in bytes that a packet would take on the present connection. */
  sizeOf(packet: Packet): number;
  /** Hands a received message to the application. It came with these subscription identifiers, the automatic ones included. */
  deliver(message: ApplicationMessage, subscriptionIdentifiers: readonly number[] | undefined): void;
  /** Gives a random number, 0 or more and less than 1. */
  random(this: void): number;
  /** Has the application answer what the broker asks to authenticate it; `Session.authenticate()` takes the answer. */
  challenge(packet: AuthPacket): void;

  /** Whether what the application acknowledges is to be held until a transaction of the store is committed. */
  readonly inTransaction: boolean;
  /** Holds an acknowledgement by the application, which comes again by `Session.acknowledgeProcessed()`. */
  holdAcknowledgement(message: ApplicationMessage): void;

  // What a store has to know: before a packet is sent that depends on it.

  /** Notes that a publish is new, has come further, or is settled. */
  publishChanged(flow: PublishFlow): void;
  /** Notes that a QoS 2 message is being acknowledged, and so must not be delivered again. */
  received(packetId: number): void;
  /** Notes that the QoS 2 flow of a received message has ended. */
  completed(packetId: number): void;
  /** Notes that the session in which messages were received is gone. */
  receivedForgotten(): void;
  /** Notes that a subscription was granted or has ended. */
  subscriptionChanged(topicFilter: string): void;
}
