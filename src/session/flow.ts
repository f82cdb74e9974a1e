import type { ApplicationMessage } from "../message.ts";
import type { StoredPublishProgress } from "../stored_session.ts";
import type { ConnackPacket, PublishPacket, SubscribePacket, UnsubscribePacket } from "../packets.ts";

const ignore = () => {};

/** Something under way, whose outcome the shell waits for; it outlives connections and Packet Identifiers. */
export class Flow<Result> {
  /** Called with the result; set by the shell. */
  settle: (result: Result) => void = ignore;
  /** Called with what went wrong; set by the shell. */
  fail: (error: unknown) => void = ignore;

  /** Goes on without anybody waiting. */
  detach(): void {
    this.settle = this.fail = ignore;
  }
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
 * waits to be sent again), `written` (QoS 0, in a write buffer that is full), `settled`.
 */
export type PublishState = "queued" | "published" | "released" | "interrupted" | "written" | "settled";

/** One message on its way to the broker. */
export class PublishFlow extends Flow<ApplicationMessage> {
  readonly message: ApplicationMessage;
  state: PublishState = "queued";
  /** The order of the first sending. */
  order = 0;
  /** The order of the packet that waits for its answer, PUBLISH or PUBREL. */
  sequence = 0;
  /** How many times PUBLISH was sent since the broker last acknowledged anything. */
  attempts = 0;
  /** When the message is not worth sending any more, if it has not been; infinity: never. */
  expiresAt = Infinity;
  /** How far it has come by what is stored of it; `undefined` when nothing is. */
  stored: StoredPublishProgress | undefined;

  constructor(message: ApplicationMessage) {
    super();
    this.message = message;
  }

  get packet(): PublishPacket {
    return this.message.publishPacket;
  }

  /** What the message weighs in a queue, in bytes. */
  get size(): number {
    return this.packet.topic.length + this.packet.payload.length;
  }
}

/** A SUBSCRIBE on its way. */
export class SubscribeFlow extends Flow<number[]> {
  packet: SubscribePacket;
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
