/** Bytes of MQTT 3.1.1 by hand, for the tests of the helpers, which must not lean on the code they help to test. */

export interface ConnectFields {
  clientId?: string;
  cleanSession?: boolean;
  username?: string;
  password?: string;
}

export function connectMessage(
  { clientId = "", cleanSession = true, username, password }: ConnectFields = {},
): Uint8Array {
  const credentials = [username, password].filter((field) => field !== undefined).flatMap(stringField);
  const flags = (cleanSession ? 2 : 0) | (username === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  return message(0x10, [...stringField("MQTT"), 4, flags, 0, 0, ...stringField(clientId), ...credentials]);
}

export function subscribeMessage(topicFilter: string, qos: number, packetId = 1): Uint8Array {
  return message(0x82, [0, packetId, ...stringField(topicFilter), qos]);
}

export function publishMessage(topic: string, payload: string, qos: number, packetId = 1): Uint8Array {
  const id = qos === 0 ? [] : [0, packetId];
  return message(0x30 | qos << 1, [...stringField(topic), ...id, ...new TextEncoder().encode(payload)]);
}

/** Reads exactly `count` bytes. Rejects when the connection ends before. */
export async function readExactly(
  reader: { read(buffer: Uint8Array): Promise<number | null> },
  count: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(count);
  for (let at = 0; at < count;) {
    const read = await reader.read(bytes.subarray(at));
    if (read === null) throw new Error(`The connection ended after ${at} of ${count} bytes`);
    at += read;
  }
  return bytes;
}

function message(firstByte: number, body: number[]): Uint8Array {
  if (body.length > 127) throw new RangeError("The helper writes messages of up to 129 bytes");
  return Uint8Array.of(firstByte, body.length, ...body);
}

function stringField(text: string): number[] {
  const bytes = new TextEncoder().encode(text);
  return [bytes.length >> 8, bytes.length & 0xff, ...bytes];
}
