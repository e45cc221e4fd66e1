/**
 * Territory fills: Paul Tol's "light" scheme without its grey, made for filling areas that carry dark labels and told
 * apart under the common colour-vision deficiencies (https://personal.sron.nl/~pault/). Ordered so that the first
 * four, which most plans get by with, differ most.
 */
export const TERRITORY_COLOURS = [
  "#77aadd",
  "#eedd88",
  "#44bb99",
  "#ee8866",
  "#ffaabb",
  "#bbcc33",
  "#99ddff",
  "#aaaa00",
] as const;

export function territoryColour(index: number): string {
  const n = TERRITORY_COLOURS.length;
  return TERRITORY_COLOURS[((index % n) + n) % n] ?? TERRITORY_COLOURS[0];
}

/** Service classes are ordered, so one hue from dark to light; size repeats the order for those who cannot see it. */
export const CLASS_STYLES = [
  { name: "S", colour: "#4a0d45", radius: 6.5 },
  { name: "A", colour: "#8a2a7f", radius: 5.5 },
  { name: "B", colour: "#b964ad", radius: 4.75 },
  { name: "C", colour: "#d6a1cf", radius: 4 },
  { name: "D", colour: "#ecd3e8", radius: 3.5 },
] as const;

/** Dark, because the lightest class and the lightest territories are both nearly white. */
export const CLASS_OUTLINE = "#3d1239";

export const UNCLASSED = { colour: "#6b7683", radius: 4 } as const;

/** ColorBrewer YlOrBr without its ends: sequential, safe for colour blindness, visible on the pale land. */
const HEAT_RAMP = ["#fff0b8", "#fed976", "#feb24c", "#f08b2d", "#d95f0e", "#a83c07", "#6e2304"] as const;

/** `n` colours spread evenly over the ramp; few of them keep to its middle, where a step is a step and not a cliff. */
export function heatColours(n: number): string[] {
  const last = HEAT_RAMP.length - 1;
  const spread = Math.min(last, 2 * (n - 1));
  const at = (i: number): number => Math.round((last - spread) / 2 + (n === 1 ? 0 : (i * spread) / (n - 1)));
  return Array.from({ length: n }, (_, i) => HEAT_RAMP[at(i)] ?? HEAT_RAMP[0]);
}
