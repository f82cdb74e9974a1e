/** What went over the connections of a client, since it was made. */
export class Traffic {
  bytesReceived = 0;
  bytesSent = 0;
  packetsReceived = 0;
  packetsSent = 0;
  messagesReceived = 0;
  messagesSent = 0;
}

/** What a client has done and is about to do. */
export interface Stats {
  /** Bytes read from the connection. */
  readonly bytesReceived: number;
  /** Bytes written to the connection. */
  readonly bytesSent: number;
  /** MQTT packets received. */
  readonly packetsReceived: number;
  /** MQTT packets sent. */
  readonly packetsSent: number;
  /** PUBLISH packets received, repeats included. */
  readonly messagesReceived: number;
  /** PUBLISH packets sent, repeats included. */
  readonly messagesSent: number;
  /** QoS 1 and 2 publishes that were sent and are not acknowledged. */
  readonly inFlight: number;
  /** Publishes that wait for the connection, the window or the write buffer. */
  readonly queuedPublishes: number;
  /** Messages received and not taken yet. */
  readonly queuedMessages: number;
  /** How many times a lost connection was restored. */
  readonly reconnects: number;
  /** Seconds from the last answered PINGREQ (at first: CONNECT) to its answer; 0 before the first. */
  readonly roundTrip: number;
}
