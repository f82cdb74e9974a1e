import { join } from "node:path";

/** Paths of a certificate in PEM and of its private key. */
export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

/** Paths of PEM files, made anew for each test: nothing in the repository can expire. */
export interface Certificates {
  /** The authority that signed all of these but `unknown`. */
  readonly ca: string;
  /** A folder that holds that authority's certificate and nothing else. */
  readonly caFolder: string;
  /** For localhost, 127.0.0.1 and ::1. */
  readonly server: KeyPair;
  /** For the same names, and long out of date. */
  readonly expired: KeyPair;
  /** For broker.invalid. */
  readonly wrongHost: KeyPair;
  /** For the same names as `server`, by another authority. */
  readonly unknown: KeyPair;
  readonly unknownCa: string;
  /** For a client named client-1. */
  readonly client: KeyPair;
  /** The client's private key, encrypted with `encryptedKeyPassword`. */
  readonly encryptedKey: string;
  readonly encryptedKeyPassword: string;
}

const LOOPBACK_NAMES = "DNS:localhost,IP:127.0.0.1,IP:::1";
const AUTHORITY = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign"];
const LEAF = ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature"];
const SERVER = [...LEAF, "extendedKeyUsage=serverAuth"];
const CLIENT = [...LEAF, "extendedKeyUsage=clientAuth"];

interface Request {
  name: string;
  extensions: string[];
  /** Without one, the certificate is signed by its own key. */
  authority?: KeyPair;
}

/** Makes certificates with the `openssl` program (3.0 or later) in `folder`, which must exist and be empty. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const caFolder = join(folder, "authorities");
  await Deno.mkdir(caFolder);
  const pair = (name: string) => ({ certificate: join(folder, `${name}.pem`), key: join(folder, `${name}.key`) });
  const authority = { certificate: join(caFolder, "ca.pem"), key: join(folder, "ca.key") };
  const unknownAuthority = pair("unknown-ca");
  await Promise.all([
    make(authority, { name: "Test authority", extensions: AUTHORITY }),
    make(unknownAuthority, { name: "Unknown authority", extensions: AUTHORITY }),
  ]);

  const [server, expired, wrongHost, unknown, client] = ["server", "expired", "wrong-host", "unknown", "client"].map(
    pair,
  );
  const forLoopback = { name: "localhost", extensions: [...SERVER, `subjectAltName=${LOOPBACK_NAMES}`] };
  const encrypted = { key: join(folder, "client-encrypted.key"), password: "key password" };
  await Promise.all([
    make(server, { ...forLoopback, authority }),
    makeExpired(expired, { ...forLoopback, authority }),
    make(wrongHost, {
      name: "broker.invalid",
      extensions: [...SERVER, "subjectAltName=DNS:broker.invalid"],
      authority,
    }),
    make(unknown, { ...forLoopback, authority: unknownAuthority }),
    make(client, { name: "client-1", extensions: CLIENT, authority }).then(() => encrypt(client.key, encrypted)),
  ]);
  return {
    ca: authority.certificate,
    caFolder,
    server,
    expired,
    wrongHost,
    unknown,
    unknownCa: unknownAuthority.certificate,
    client,
    encryptedKey: encrypted.key,
    encryptedKeyPassword: encrypted.password,
  };
}

async function make(pair: KeyPair, { authority, ...request }: Request): Promise<void> {
  const signer = authority === undefined ? [] : ["-CA", authority.certificate, "-CAkey", authority.key];
  await openssl("req", "-x509", "-days", "2", ...signer, ...subject(pair, request), "-out", pair.certificate);
}

/** `openssl ca` is what can set both dates, and it wants a configuration and a database for that. */
async function makeExpired(pair: KeyPair, { authority, ...request }: Required<Request>): Promise<void> {
  const folder = `${pair.certificate}.issued`;
  const paths = {
    request: join(folder, "request"),
    config: join(folder, "config"),
    database: join(folder, "database"),
  };
  await Deno.mkdir(folder);
  await Deno.writeTextFile(paths.database, "");
  await Deno.writeTextFile(
    paths.config,
    `[ca]\ndefault_ca = test\n[names]\ncommonName = supplied\n[test]\npolicy = names\ncopy_extensions = copy\n` +
      `database = ${paths.database}\nnew_certs_dir = ${folder}\nrand_serial = yes\ndefault_md = sha256\n`,
  );
  await openssl("req", "-new", ...subject(pair, request), "-out", paths.request);
  const signer = ["-cert", authority.certificate, "-keyfile", authority.key];
  const dates = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
  const files = ["-config", paths.config, "-in", paths.request, "-out", pair.certificate];
  await openssl("ca", "-batch", "-notext", ...files, ...signer, ...dates);
}

async function encrypt(plain: string, { key, password }: { key: string; password: string }): Promise<void> {
  await openssl("pkcs8", "-topk8", "-in", plain, "-out", key, "-passout", `pass:${password}`);
}

/** The arguments of `openssl req` that make a new key, and say whom it is for. */
function subject({ key }: KeyPair, { name, extensions }: Request): string[] {
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", key];
  return [...newKey, "-subj", `/CN=${name}`, ...extensions.flatMap((extension) => ["-addext", extension])];
}

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stdout: "null", stderr: "piped" }).output();
  if (!success) throw new Error(`openssl ${args.join(" ")} failed:\n${new TextDecoder().decode(stderr)}`);
}
