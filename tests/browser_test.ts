import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { bundle } from "./helpers/bundle.ts";
import { mosquittoAvailable, startMosquitto } from "./helpers/mosquitto.ts";
import { findProgram } from "./helpers/programs.ts";

const required = Deno.env.get("REQUIRE_BROKERS") === "1";
const chromium = findProgram("chromium");

/** How long the browser may take, in milliseconds. */
const PATIENCE = 60_000;

Deno.test({
  name: "MQTTClient runs in a browser: QoS 0, 1 and 2 over a WebSocket, and errors that say what a browser cannot do",
  ignore: !required && (chromium === undefined || !mosquittoAvailable()),
  async fn() {
    if (chromium === undefined) throw new Error("Cannot find chromium: install it, or leave REQUIRE_BROKERS unset");
    await using broker = await startMosquitto({ listeners: ["mqtt", "ws"] });
    const folder = await Deno.makeTempDir({ prefix: "browser-" });
    const page = servePage(await bundle("tests/fixtures/browser_page.ts", join(folder, "page.js"), "browser"));
    const query = `?broker=${encodeURIComponent(broker.uris.ws)}`;
    const browser = startBrowser(chromium, join(folder, "profile"), `${page.url}${query}`);
    try {
      const wss = "check the URI, and look into the browser's console";
      const outsideDeno = "ConfigError: Outside Deno only ws: and wss: are possible, without headers and certificates";
      assertEquals(await Promise.race([page.report, browser.failure]), {
        exchange: [
          "browser/0 0 message of QoS 0",
          "browser/1 1 message of QoS 1",
          "browser/2 2 message of QoS 2",
        ],
        failures: [
          outsideDeno,
          outsideDeno,
          `ConnectError: Cannot connect to ${page.url.replace("http:", "ws:")}?***: ` +
          `The WebSocket failed, and the browser tells programs no reason; ${wss}`,
        ],
      });
    } finally {
      await browser.end();
      await page.shutdown();
      await removeFolder(folder);
    }
  },
});

/** Serves the page, and gives what it reports. */
function servePage(script: string): { url: string; report: Promise<unknown>; shutdown(): Promise<void> } {
  const { promise: report, resolve } = Promise.withResolvers<unknown>();
  const html = `<!doctype html><script type="module" src="/page.js"></script>`;
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/page.js") return new Response(script, { headers: { "Content-Type": "text/javascript" } });
    if (pathname === "/report") resolve(await request.json());
    return new Response(html, { headers: { "Content-Type": "text/html" } });
  });
  return { url: `http://127.0.0.1:${server.addr.port}/`, report, shutdown: () => server.shutdown() };
}

/** Starts chromium with a page, and gives what rejects when it ends or takes too long. */
function startBrowser(
  program: string,
  profile: string,
  url: string,
): { failure: Promise<never>; end(): Promise<void> } {
  const options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"];
  const quiet = ["--disable-background-networking", "--disable-component-update", "--disable-sync"];
  const args = [...options, ...quiet, `--user-data-dir=${profile}`, url];
  const browser = new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
  const said = new Response(browser.stderr).text();
  const { promise: failure, reject } = Promise.withResolvers<never>();
  failure.catch(() => {});
  const timer = setTimeout(() => reject(new Error(`The page reported nothing within ${PATIENCE} ms`)), PATIENCE);
  const ended = said.then((text) => reject(new Error(`The browser ended:\n${text}`)));
  return {
    failure,
    async end() {
      clearTimeout(timer);
      try {
        browser.kill();
      } catch {
        // It has ended by itself.
      }
      await Promise.all([browser.status, ended]);
    },
  };
}

/** The browser's helpers may still be writing when it has ended. */
async function removeFolder(folder: string): Promise<void> {
  for (let tries = 10;; tries--) {
    try {
      return await Deno.remove(folder, { recursive: true });
    } catch (error) {
      if (tries === 0) throw error;
    }
  }
}
