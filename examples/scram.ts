// Logs in by SCRAM-SHA-256 (RFC 5802, RFC 7677): neither side shows the password, and each proves to the other that it knows it.
//
//   deno run --allow-net=localhost:1883 examples/scram.ts mqtt://localhost:1883
import { type AuthHandler, ConnectError, MQTTClient } from "@hbmqtt/client";

const encoder = new TextEncoder();

/** The client's side of SCRAM; each attempt to connect is an exchange with a nonce of its own. */
export class Scram {
  readonly #username: string;
  readonly #password: string;
  readonly #newNonce: () => string;
  #clientFirst = "";
  #nonce = "";
  #serverSignature = "";

  constructor(username: string, password: string, newNonce: () => string = () => crypto.randomUUID()) {
    this.#username = username.replaceAll("=", "=3D").replaceAll(",", "=2C");
    this.#password = password.normalize("NFKC");
    this.#newNonce = newNonce;
  }

  /** Gives the first message of a new exchange. */
  first(): Uint8Array {
    this.#nonce = this.#newNonce();
    this.#serverSignature = "";
    this.#clientFirst = `n=${this.#username},r=${this.#nonce}`;
    return encoder.encode(`n,,${this.#clientFirst}`);
  }

  /** Answers a challenge; an empty one asks for the first message. */
  readonly answer: AuthHandler = async ({ data }) => {
    const challenge = new TextDecoder().decode(data);
    return challenge === "" ? this.first() : encoder.encode(await this.#final(challenge));
  };

  async #final(serverFirst: string): Promise<string> {
    const { r: nonce, s: salt, i: iterations } = attributes(serverFirst);
    if (this.#nonce === "" || !nonce?.startsWith(this.#nonce) || nonce === this.#nonce) {
      throw new Error("the broker answers to another exchange");
    }
    if (!(Number(iterations) >= 4096)) {
      throw new Error(`the broker asks for ${iterations} iterations, too few to be safe`);
    }
    const clientFinal = `c=biws,r=${nonce}`;
    const authMessage = `${this.#clientFirst},${serverFirst},${clientFinal}`;
    const saltedPassword = await this.#saltedPassword(Uint8Array.fromBase64(salt), Number(iterations));
    const clientKey = await hmac(saltedPassword, "Client Key");
    const storedKey = new Uint8Array(await crypto.subtle.digest("SHA-256", clientKey));
    const clientSignature = await hmac(storedKey, authMessage);
    const proof = clientKey.map((byte, i) => byte ^ clientSignature[i]);
    this.#serverSignature = (await hmac(await hmac(saltedPassword, "Server Key"), authMessage)).toBase64();
    return `${clientFinal},p=${proof.toBase64()}`;
  }

  async #saltedPassword(salt: Uint8Array<ArrayBuffer>, iterations: number): Promise<Uint8Array<ArrayBuffer>> {
    const key = await crypto.subtle.importKey("raw", encoder.encode(this.#password), "PBKDF2", false, ["deriveBits"]);
    const parameters = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
    return new Uint8Array(await crypto.subtle.deriveBits(parameters, key, 256));
  }

  /** Tells whether what the broker said at last proves that it knows the password, too. */
  verify(serverFinal: Uint8Array | undefined): boolean {
    const { v: signature } = attributes(new TextDecoder().decode(serverFinal));
    return this.#serverSignature !== "" && signature === this.#serverSignature;
  }
}

function attributes(message: string): Record<string, string> {
  return Object.fromEntries(message.split(",").map((attribute) => [attribute[0], attribute.slice(2)]));
}

async function hmac(secret: Uint8Array<ArrayBuffer>, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey("raw", secret, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
}

if (import.meta.main) {
  const [uri = "mqtt://localhost:1883", username = "user", password = "pencil"] = Deno.args;
  const scram = new Scram(username, password);
  await using client = new MQTTClient({
    config: { protocol_version: 5, authentication_method: "SCRAM-SHA-256" },
    credentials: () => ({ authenticationData: scram.first() }),
    onAuth: scram.answer,
  });
  client.addEventListener("connect", () => { // at each reconnection, too
    if (scram.verify(client.connack?.properties.authenticationData)) return;
    console.error("The broker does not know the password: it is not what it claims to be");
    Deno.exitCode = 1;
    client.disconnect();
  });
  try {
    await client.connect(uri);
    if (client.connected) console.log("The broker and the client know each other");
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    console.error(error.message);
    Deno.exitCode = 1;
  }
}
