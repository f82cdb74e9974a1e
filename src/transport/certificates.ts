import { ConfigError, ConnectError, messageOf } from "../errors.ts";
import { isPem } from "../pem.ts";

/** Where certificates are. Texts are PEM, paths are those of PEM files. */
export interface CertificateSources {
  /** A file of certificates of authorities. */
  caFile?: string | undefined;
  /** A folder of such files. */
  caPath?: string | undefined;
  /** Certificates of authorities as text. */
  caData?: string | undefined;
  /** The client's certificate, and those between it and the authority's. */
  certFile?: string | undefined;
  /** The private key of the client's certificate, not encrypted. */
  keyFile?: string | undefined;
}

/** Certificates as Deno takes them. */
export interface Certificates {
  caCerts: string[];
  cert?: string;
  key?: string;
}

const CERTIFICATE = /^-----BEGIN CERTIFICATE-----/m;
/** Deno passes over these without a word. */
const OTHER_CERTIFICATE = /^-----BEGIN (?:TRUSTED|X509) CERTIFICATE-----/m;
const PRIVATE_KEY = /^-----BEGIN [A-Z ]*PRIVATE KEY-----/m;
const ENCRYPTED_KEY = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m;

/**
 * Reads certificates and checks that they are some.
 *
 * @throws {ConfigError} If a file cannot be read or holds something else; all bad files of a folder are named.
 * @throws {ConnectError} If Deno denies to read it, naming the permission.
 */
export async function loadCertificates(sources: CertificateSources): Promise<Certificates> {
  const { caFile, caPath, caData, certFile, keyFile } = sources;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    throw new ConfigError("A client certificate needs both certfile and keyfile");
  }
  for (const [name, path] of Object.entries({ caFile, caPath })) {
    if (path === undefined || !isPem(path)) continue;
    throw new ConfigError(`${name} must be a path, and holds PEM or a line break; caData takes the text of a file`);
  }
  const caCerts: string[] = [];
  if (caData !== undefined) caCerts.push(checkedCertificates(caData, "cadata"));
  if (caFile !== undefined) caCerts.push(await readCertificates(caFile));
  if (caPath !== undefined) caCerts.push(...await readFolder(caPath));
  if (certFile === undefined || keyFile === undefined) return { caCerts };
  const cert = await readCertificates(certFile), key = await readKey(keyFile);
  check(() => Deno.createHttpClient({ cert, key }), `${keyFile} holds no private key that goes with ${certFile}`);
  return { caCerts, cert, key };
}

async function readFolder(folder: string): Promise<string[]> {
  const certificates: string[] = [];
  const faults: string[] = [];
  const names = await reading(folder, () => Array.fromAsync(Deno.readDir(folder)));
  for (const { name, isDirectory, isSymlink } of names) {
    const path = `${folder}/${name}`;
    try {
      // A folder that Kubernetes mounts holds a link to a folder beside the files.
      if (isDirectory || isSymlink && (await reading(path, () => Deno.stat(path))).isDirectory) continue;
      certificates.push(await readCertificates(path));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(error.message);
    }
  }
  if (faults.length > 0) throw new ConfigError([`Cannot use all files of ${folder}:`, ...faults].join("\n  "));
  if (certificates.length === 0) throw new ConfigError(`${folder} holds no file`);
  return certificates;
}

async function readCertificates(path: string): Promise<string> {
  return checkedCertificates(await readFile(path), path);
}

async function readKey(path: string): Promise<string> {
  const text = await readFile(path);
  if (ENCRYPTED_KEY.test(text)) {
    throw new ConfigError(
      `${path} holds an encrypted private key, which Deno cannot use: decrypt it with "openssl pkey -in ${path} -out FILE"`,
    );
  }
  if (!PRIVATE_KEY.test(text)) throw new ConfigError(`${path} holds no private key in PEM`);
  return text;
}

async function readFile(path: string): Promise<string> {
  const text = await reading(path, () => Deno.readTextFile(path));
  return text.replace(/^\ufeff/, ""); // which Windows writes, and Deno takes for a part of the first line
}

async function reading<Result>(path: string, read: () => Promise<Result>): Promise<Result> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof Deno.errors.NotCapable) {
      throw new ConnectError(`Cannot read ${path}: run with --allow-read=${path}`, { cause, permanent: true });
    }
    throw new ConfigError(`Cannot read ${path}: ${messageOf(cause)}`, { cause });
  }
}

function checkedCertificates(text: string, where: string): string {
  if (OTHER_CERTIFICATE.test(text)) {
    throw new ConfigError(
      `${where} holds a certificate in OpenSSL's own form, which Deno cannot use: convert it with "openssl x509 -in FILE -out FILE"`,
    );
  }
  if (!CERTIFICATE.test(text)) throw new ConfigError(`${where} holds no certificate in PEM`);
  check(() => Deno.createHttpClient({ caCerts: [text] }), `${where} holds a damaged certificate`);
  return text;
}

/** Has Deno read them: a fault would show when connecting only, as if it were the broker's. What Deno says may quote the file. */
function check(use: () => Deno.HttpClient, fault: string): void {
  try {
    use().close();
  } catch {
    throw new ConfigError(fault);
  }
}
