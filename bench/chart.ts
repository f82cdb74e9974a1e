import { medianOf, type Run } from "./result.ts";
import type { Workload } from "./workloads.ts";

const WIDTH = 760, BAR = 14, GAP = 14, TOP = 30, LEFT = 230, RIGHT = 90;
const COLOURS = ["#0a7d5a", "#3b82c4", "#c47f3b", "#8a5ab8"];
const GREY = "#b8b8b8";

/** Draws the messages per second of each client, in multiples of the npm client's, as an SVG. */
export function chart(run: Run, workloads: readonly Workload[]): string {
  const clients = Object.keys(run.setting.clients).filter((client) => client !== "raw");
  const colours = new Map(clients.map((client, i) => [client, client === "npm" ? GREY : COLOURS[i % COLOURS.length]]));
  const groups = workloads.flatMap(({ name, kind, slow }) => {
    if (kind !== "publish" && kind !== "receive" || slow) return [];
    const median = (client: string) => medianOf(run, name, client, ({ perSecond }) => perSecond);
    const npm = median("npm");
    if (npm === undefined) return [];
    return [{
      name,
      bars: clients.flatMap((client) => {
        const value = median(client);
        return value === undefined ? [] : [{ client, times: value / npm }];
      }),
    }];
  });
  const scale = (WIDTH - LEFT - RIGHT) / Math.max(1, ...groups.flatMap(({ bars }) => bars.map(({ times }) => times)));
  let y = TOP;
  const drawn = groups.map(({ name, bars }) => {
    const label = `<text x="${LEFT - 8}" y="${y + bars.length * BAR / 2 + 4}" text-anchor="end">${name}</text>`;
    const rects = bars.map(({ client, times }) => {
      const width = (times * scale).toFixed(1);
      const rect = `<rect x="${LEFT}" y="${y}" width="${width}" height="${BAR}" fill="${colours.get(client)}"/>`;
      const text = client === "npm"
        ? ""
        : `<text x="${LEFT + Number(width) + 6}" y="${y + BAR - 3}">${times.toFixed(1)}</text>`;
      y += BAR;
      return rect + text;
    });
    y += GAP;
    return label + rects.join("");
  });
  const legend = clients.map((client) => `<tspan fill="${colours.get(client)}">${run.setting.clients[client]}</tspan>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" font-family="sans-serif" font-size="12" fill="#888">` +
    `<text x="${LEFT}" y="18">messages per second, in multiples of npm mqtt: ${legend.join(", ")}</text>` +
    `${drawn.join("")}</svg>\n`;
}
