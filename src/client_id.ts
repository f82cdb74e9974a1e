const CHARACTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH = 16;

/** Makes a client identifier that no other client has: `hbmqtt/` and 16 random letters and digits, 23 characters in all (§3.1.3.1). */
export function generateClientId(): string {
  let id = "hbmqtt/";
  while (id.length < "hbmqtt/".length + LENGTH) {
    for (const byte of crypto.getRandomValues(new Uint8Array(LENGTH))) {
      // Bytes beyond the last multiple of 62 would make the first characters likelier.
      if (byte < 248 && id.length < "hbmqtt/".length + LENGTH) id += CHARACTERS[byte % CHARACTERS.length];
    }
  }
  return id;
}
