const LARGEST = 65_535;

/** The Packet Identifiers in use, and what uses them (§2.3.1). */
export class PacketIdentifiers<Flow> {
  /** By packet identifier; grows as far as identifiers are used. */
  #flows: (Flow | undefined)[] = [undefined];
  #next = 1;
  #used = 0;

  /** Whether all 65,535 are in use. */
  get exhausted(): boolean {
    return this.#used === LARGEST;
  }

  get(packetId: number): Flow | undefined {
    return this.#flows[packetId];
  }

  /** Gives the flow the next free identifier; there must be one. */
  assign(flow: Flow): number {
    let packetId = this.#next;
    while (this.#flows[packetId] !== undefined) packetId = following(packetId); // [MQTT-2.3.1-2]
    this.#next = following(packetId);
    if (packetId === this.#flows.length) this.#flows.push(flow);
    else this.#flows[packetId] = flow;
    this.#used++;
    return packetId;
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
    this.#next = 1;
    this.#used = 0;
  }
}

function following(packetId: number): number {
  return packetId === LARGEST ? 1 : packetId + 1;
}
