const LARGEST = 65_535;

/** The Packet Identifiers in use, and what uses them (§2.3.1). */
export class PacketIdentifiers<Flow> {
  /** By packet identifier; grows as far as identifiers are used. */
  #flows: (Flow | undefined)[] = [undefined];
  #last = 0;
  #used = 0;

  /** Whether all 65,535 are in use. */
  get exhausted(): boolean {
    return this.#used === LARGEST;
  }

  /** The identifier that was assigned last; 0: none. */
  get last(): number {
    return this.#last;
  }

  /** Goes on after an identifier that was assigned in the same session before. */
  resumeAfter(packetId: number): void {
    this.#last = packetId;
  }

  get(packetId: number): Flow | undefined {
    return this.#flows[packetId];
  }

  /** Gives the flow the next free identifier; there must be one. */
  assign(flow: Flow): number {
    let packetId = following(this.#last);
    while (this.#flows[packetId] !== undefined) packetId = following(packetId); // [MQTT-2.3.1-2]
    this.#last = packetId;
    this.claim(packetId, flow);
    return packetId;
  }

  /** Gives the flow an identifier that is free. */
  claim(packetId: number, flow: Flow): void {
    while (this.#flows.length <= packetId) this.#flows.push(undefined); // without holes
    this.#flows[packetId] = flow;
    this.#used++;
  }

  free(packetId: number): void {
    if (this.#flows[packetId] === undefined) return;
    this.#flows[packetId] = undefined;
    this.#used--;
  }

  /** Gives all flows that have an identifier. */
  flows(): Flow[] {
    return this.#flows.filter((flow) => flow !== undefined);
  }

  /** Frees all identifiers; the next one is 1 again. */
  reset(): void {
    this.#flows = [undefined];
    this.#last = 0;
    this.#used = 0;
  }
}

function following(packetId: number): number {
  return packetId === LARGEST ? 1 : packetId + 1;
}
