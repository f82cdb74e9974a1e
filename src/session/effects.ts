import type { ApplicationMessage } from "../message.ts";
import type { AuthPacket, Packet } from "../packets.ts";

/** What a session asks of its surroundings; done at once and in order. */
export interface Effects {
  /** Sends a packet on the present connection. Gives whether the write buffer takes more; if not, `Session.writable()` is called when it does. */
  send(packet: Packet): boolean;
  /** Gives the size in bytes that a packet would take on the present connection. */
  sizeOf(packet: Packet): number;
  /** Hands a received message to the application. */
  deliver(message: ApplicationMessage): void;
  /** Has the application answer what the broker asks to authenticate it; `Session.authenticate()` takes the answer. */
  challenge(packet: AuthPacket): void;
}
