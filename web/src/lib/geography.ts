import type { Bbox } from "../api/types";

/** Corners for MapLibre, whose east may pass 180°; ours is then smaller than the west. */
export function mapBounds([west, south, east, north]: Bbox): [[number, number], [number, number]] {
  return [
    [west, south],
    [east < west ? east + 360 : east, north],
  ];
}

/** A viewport as a `bbox` parameter: longitudes wrapped into ±180, the whole circle when the view is wider than it. */
export function viewportBbox(west: number, south: number, east: number, north: number): string {
  const [w, e] = east - west >= 360 ? [-180, 180] : [wrap(west), wrap(east)];
  return [w, Math.max(south, -90), e, Math.min(north, 90)].map((degrees) => degrees.toFixed(4)).join(",");
}

const wrap = (lon: number): number => (lon >= -180 && lon <= 180 ? lon : ((((lon + 180) % 360) + 360) % 360) - 180);
