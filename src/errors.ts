/**
 * What went wrong, beside the message.
 *
 * The fields that carry a code of the protocol are numbers as they were on the wire.
 */
export interface ConnectErrorOptions extends ErrorOptions {
  /** The return code of CONNACK as it was on the wire: 1…5 in 3.1.1, 0x80…0xFF in 5.0. */
  returnCode?: number | undefined;
  /**
   * The reason code (MQTT 5.0): of CONNACK, for 3.1.1 the one that means the same as the return code; or the one that names how the broker
   * broke the protocol.
   */
  reasonCode?: number | undefined;
  /** Whether trying again cannot help. */
  permanent?: boolean | undefined;
  /** Another broker to use (MQTT 5.0). */
  serverReference?: string | undefined;
}

/** The base of every error that the client throws on purpose, never thrown itself; wrong arguments are `TypeError` and `RangeError`. */
export class MQTTError extends Error {
  /** The name of the class. */
  override name = "MQTTError";
}

/** Says that the client was used in a state in which it cannot do what was asked: before `connect()`, or after it has ended or given up. */
export class ClientError extends MQTTError {
  /** The name of the class. */
  override name = "ClientError";
}

/** Says that no connection could be established: unreachable, refused, not trusted, timed out or not permitted. */
export class ConnectError extends ClientError {
  /** The name of the class. */
  override name = "ConnectError";
  /** The return code of the CONNACK that refused the connection, 1…5 in 3.1.1, 0x80…0xFF in 5.0; `undefined` when none did. */
  readonly returnCode: number | undefined;
  /**
   * The reason code (MQTT 5.0) that the refusal has or corresponds to, or that names how the broker broke the protocol, 0x80…0xFF;
   * `undefined` when it did neither.
   */
  readonly reasonCode: number | undefined;
  /** Whether the same attempt, made again, would fail again: bad credentials, a bad certificate, a denied permission, … */
  readonly permanent: boolean;
  /** The other broker that the refusal names (MQTT 5.0). */
  readonly serverReference: string | undefined;

  /** Takes the message, and what the broker or the runtime said. */
  constructor(message: string, options: ConnectErrorOptions = {}) {
    super(message, options);
    this.returnCode = options.returnCode;
    this.reasonCode = options.reasonCode;
    this.permanent = options.permanent ?? false;
    this.serverReference = options.serverReference;
  }
}

/** What the broker said when it ended the connection (MQTT 5.0), beside the message. */
export interface ConnectionLostErrorOptions extends ErrorOptions {
  /** The reason code of its DISCONNECT, breach of the protocol or refusal. */
  reasonCode?: number | undefined;
  /** Another broker to use. */
  serverReference?: string | undefined;
  /** Whether connecting again cannot help. */
  permanent?: boolean | undefined;
}

/**
 * Says that the link broke; `cause` is what broke it. A call that rejects with it does so because the link will not come back:
 * `auto_reconnect` is off, the retries are used up, or none can help. The event `disconnect` may have it while the client reconnects.
 */
export class ConnectionLostError extends ClientError {
  /** The name of the class. */
  override name = "ConnectionLostError";
  /**
   * The reason code that says why: of the DISCONNECT by which the broker ended the connection (MQTT 5.0), of its breach of the protocol, or
   * of its refusal of the last attempt to restore the connection; `undefined` when there is none.
   */
  readonly reasonCode: number | undefined;
  /** The other broker that the broker named in it (MQTT 5.0). */
  readonly serverReference: string | undefined;
  /** Whether connecting again would not help: another client has taken the session over, for instance. */
  readonly permanent: boolean;

  /** Takes the message, and what the broker said. */
  constructor(message: string, options: ConnectionLostErrorOptions = {}) {
    super(message, options);
    this.reasonCode = options.reasonCode;
    this.serverReference = options.serverReference;
    this.permanent = options.permanent ?? false;
  }
}

/** Says that the broker answered with a reason code of 0x80 or more (MQTT 5.0). */
export class RejectedError extends MQTTError {
  /** The name of the class. */
  override name = "RejectedError";
  /** The broker's reason code, 0x80…0xFF. */
  readonly reasonCode: number;
  /** What the broker said about it, if anything. */
  readonly reasonString: string | undefined;

  /** Takes the message and the broker's words. */
  constructor(message: string, reasonCode: number, reasonString?: string) {
    super(message);
    this.reasonCode = reasonCode;
    this.reasonString = reasonString;
  }
}

/** Says that the peer broke the protocol; the connection it came on is closed. */
export class ProtocolError extends MQTTError {
  /** The name of the class. */
  override name = "ProtocolError";
  /** The reason code that names the fault: 0x81 malformed packet, 0x82 protocol error, 0x95 packet too large, … */
  readonly reasonCode: number;

  /** Takes the message and the reason code. */
  constructor(message: string, reasonCode: number) {
    super(message);
    this.reasonCode = reasonCode;
  }
}

/** Says what is wrong with a configuration: all its faults, one line each. */
export class ConfigError extends MQTTError {
  /** The name of the class. */
  override name = "ConfigError";
}

/** Gives the words of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
