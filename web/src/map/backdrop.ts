import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import bundled from "world-atlas/countries-50m.json?url";

import { unwrapPolygons } from "../lib/unwrap";

export interface Backdrop {
  land: GeoJSON.GeoJSON;
  borders: GeoJSON.GeoJSON;
}

/**
 * Land and country borders under the territories, from one file: TopoJSON with an object named `countries`, or a
 * GeoJSON collection of polygons. The page's `bailiwick-backdrop` meta tag names another file than the bundled one.
 */
export async function loadBackdrop(signal: AbortSignal): Promise<Backdrop> {
  const chosen = document.querySelector<HTMLMetaElement>('meta[name="bailiwick-backdrop"]')?.content;
  const response = await fetch(chosen || bundled, { signal });
  if (!response.ok) throw new Error(`The backdrop answered ${response.status}.`);
  return backdropOf((await response.json()) as Topology | GeoJSON.FeatureCollection);
}

export function backdropOf(file: Topology | GeoJSON.FeatureCollection): Backdrop {
  if (file.type !== "Topology") return { land: file, borders: file };
  const countries = file.objects.countries as GeometryCollection;
  return {
    land: unwrapPolygons(feature(file, countries)),
    // Borders between two countries only: coastlines would also draw the cut along the 180th meridian.
    borders: mesh(file, countries, (a, b) => a !== b),
  };
}
