/** The topic of the benchmarks that use only one. */
export const TOPIC = "bench/site1/dev42/temp";

/** The protocol level of MQTT 5.0 in CONNECT; that of 3.1.1 is 4. */
export const MQTT_5_0 = 5;

/** Gives the topic of the i-th message; one topic is the usual case. */
export function topicOf(i: number, topics: number): string {
  return topics === 1 ? TOPIC : `bench/site1/dev${i % topics}/temp`;
}

/** Encodes a PUBLISH, by other code than the client's. */
export function encodePublish(topic: string, qos: number, packetId: number, size: number, level = 4): Uint8Array {
  const name = new TextEncoder().encode(topic);
  let rest = 2 + name.length + (qos > 0 ? 2 : 0) + (level === MQTT_5_0 ? 1 : 0) + size;
  const head = [0x30 | qos << 1];
  for (; rest > 127; rest >>= 7) head.push(rest & 127 | 128);
  head.push(rest, name.length >> 8, name.length & 255, ...name);
  if (qos > 0) head.push(packetId >> 8, packetId & 255);
  if (level === MQTT_5_0) head.push(0);
  const packet = new Uint8Array(head.length + size).fill(120);
  packet.set(head);
  return packet;
}

/** Gives how long a PUBLISH is that starts with these bytes. */
export function packetLength(bytes: Uint8Array, start: number): number {
  let rest = 0, at = 1;
  do rest |= (bytes[start + at] & 127) << 7 * (at - 1); while (bytes[start + at++] > 127);
  return at + rest;
}
