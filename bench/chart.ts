import type { Result } from "./run.ts";
import type { Workload } from "./workloads.ts";

const WIDTH = 760, BAR = 14, GAP = 14, LEFT = 190, RIGHT = 90;
const COLOURS = { ours: "#0a7d5a", npm: "#b8b8b8" };

/** Draws how many times faster this client is than the npm client, from the medians, as an SVG. */
export function chart(results: readonly Result[], workloads: readonly Workload[]): string {
  const rows = workloads.flatMap(({ name, kind }) => {
    if (kind !== "publish" && kind !== "receive") return [];
    const [ours, npm] = (["ours", "npm"] as const).map((client) =>
      middle(
        results.filter((result) => result.workload === name && result.client === client).map((result) =>
          result.perSecond
        ),
      )
    );
    return ours === undefined || npm === undefined ? [] : [{ name, times: ours / npm }];
  });
  const longest = Math.max(1, ...rows.map(({ times }) => times));
  const scale = (WIDTH - LEFT - RIGHT) / longest;
  const height = rows.length * (2 * BAR + GAP) + 40;
  const bars = rows.map(({ name, times }, i) => {
    const y = 30 + i * (2 * BAR + GAP);
    return `<text x="${LEFT - 8}" y="${y + BAR + 4}" text-anchor="end">${name}</text>` +
      `<rect x="${LEFT}" y="${y}" width="${(times * scale).toFixed(1)}" height="${BAR}" fill="${COLOURS.ours}"/>` +
      `<text x="${(LEFT + times * scale + 6).toFixed(1)}" y="${y + BAR - 3}">${times.toFixed(1)} times</text>` +
      `<rect x="${LEFT}" y="${y + BAR}" width="${scale.toFixed(1)}" height="${BAR}" fill="${COLOURS.npm}"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" font-family="sans-serif" font-size="12" fill="#888">` +
    `<text x="${LEFT}" y="18">messages per second: <tspan fill="${COLOURS.ours}">@hbmqtt/client</tspan> beside npm mqtt on Deno</text>` +
    bars.join("") + "</svg>\n";
}

function middle(values: number[]): number | undefined {
  return values.toSorted((a, b) => a - b).at(values.length >> 1);
}
