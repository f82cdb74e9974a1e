import type { ApplicationMessage } from "../message.ts";
import type { StoredPublishProgress } from "../stored_session.ts";
import type {
  ConnackPacket,
  PublishPacket,
  PubrecPacket,
  PubrelPacket,
  SubscribePacket,
  UnsubscribePacket,
} from "../packets.ts";

/** Who waits for an outcome. */
export interface Waiter<Result> {
  /** Takes the result. */
  settle(result: Result): void;
  /** Takes what went wrong. */
  fail(error: unknown): void;
}

/** Nobody waits. */
export const NOBODY: Waiter<unknown> = Object.freeze({ settle() {}, fail() {} });

/** Something under way; it outlives connections and Packet Identifiers. */
export class Flow<Result> {
  /** Who waits for its outcome; set by the shell. */
  waiter: Waiter<Result> = NOBODY;
}

/** A connection attempt from CONNECT to CONNACK. */
export class ConnectFlow extends Flow<ConnackPacket> {}

/** A re-authentication from AUTH to AUTH. */
export class AuthFlow extends Flow<void> {}

/** A PINGREQ that somebody waits for. */
export class PingFlow extends Flow<void> {}

/**
 * Where a publish is: `queued` (never sent: waits for the connection, the window or the write buffer), `published` (waits
 * for PUBACK or PUBREC), `released` (waits for PUBCOMP), `interrupted` (was one of these two when the connection was lost, and
 * waits to be sent again), `settled`, `left` (was not settled when the client ended: a store keeps it for another life).
 */
export type PublishState = "queued" | "published" | "released" | "interrupted" | "settled" | "left";

/** One message on its way to the broker. It extends nothing, since what does takes longer to be made. */
export class PublishFlow implements Flow<ApplicationMessage> {
  waiter: Waiter<ApplicationMessage> = NOBODY;
  /** PUBLISH; of several sendings the last. */
  packet: PublishPacket;
  /** What the broker has answered to it, with QoS 2. */
  pubrecPacket: PubrecPacket | undefined;
  /** What answers that; from then on the message itself is not sent again. */
  pubrelPacket: PubrelPacket | undefined;
  state: PublishState = "queued";
  /** The order of the first sending in the session that the broker has; 0 before. */
  order = 0;
  /** The order of the packet that waits for its answer, PUBLISH or PUBREL. */
  sequence = 0;
  /** How many times PUBLISH was sent since the broker last acknowledged anything. */
  attempts = 0;
  /** When the message is not worth sending any more, if it has not been; `undefined`: never. */
  expiresAt: number | undefined;
  /** How far it has come by what is stored of it; `undefined` when nothing is. */
  stored: StoredPublishProgress | undefined;

  constructor(packet: PublishPacket, expiresAt?: number) {
    this.packet = packet;
    this.expiresAt = expiresAt;
  }

  /** What the message weighs in a queue, in bytes. */
  get size(): number {
    return this.packet.topic.length + this.packet.payload.length;
  }
}

/** A SUBSCRIBE on its way. */
export class SubscribeFlow extends Flow<number[]> {
  packet: SubscribePacket;
  /** The Subscription Identifier that it was last sent with, `undefined`: none. */
  identifier: number | undefined;
  /** How many times it was sent. */
  attempts = 0;
  /** Whether it restores what a lost session held; nobody called for it. */
  readonly restores: boolean;

  constructor(packet: SubscribePacket, restores = false) {
    super();
    this.packet = packet;
    this.restores = restores;
  }

  /** Readies it for another sending; a packet that was handed out is not changed. */
  renew(): void {
    this.packet = { ...this.packet, packetId: 0 };
  }
}

/** An UNSUBSCRIBE on its way. */
export class UnsubscribeFlow extends Flow<number[]> {
  packet: UnsubscribePacket;
  /** How many times it was sent. */
  attempts = 0;

  constructor(packet: UnsubscribePacket) {
    super();
    this.packet = packet;
  }

  /** Readies it for another sending; a packet that was handed out is not changed. */
  renew(): void {
    this.packet = { ...this.packet, packetId: 0 };
  }
}
