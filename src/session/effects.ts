import type { ApplicationMessage } from "../message.ts";
import type { Packet } from "../packets.ts";

/** What a session asks of its surroundings; done at once and in order. */
export interface Effects {
  /** Sends a packet on the present connection. Gives whether the write buffer takes more; if not, `Session.writable()` is called when it does. */
  send(packet: Packet): boolean;
  /** Hands a received message to the application. */
  deliver(message: ApplicationMessage): void;
}
