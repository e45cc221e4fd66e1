import { GeoJSONVT } from "@maplibre/geojson-vt";
import { fromGeojsonVt } from "@maplibre/vt-pbf";
import { cellToBoundary, latLngToCell } from "h3-js";

import { DETAIL_ZOOM } from "../../map/ids.ts";
import { areaKm2 } from "./world.ts";
import type { MockCustomer, MockWorld } from "./world.ts";

const point = (lon: number, lat: number): GeoJSON.Point => ({ type: "Point", coordinates: [lon, lat] });

function index(features: GeoJSON.Feature[]): GeoJSONVT {
  return new GeoJSONVT({ type: "FeatureCollection", features }, { maxZoom: 14, indexMaxZoom: 6, buffer: 64, tolerance: 1 });
}

const rollupResolution = (zoom: number): number => Math.min(8, Math.max(2, Math.round(zoom * 0.62 + 0.6)));

function rollup(customers: readonly MockCustomer[], resolution: number): Map<string, MockCustomer[]> {
  return Map.groupBy(customers, ({ lat, lon }) => latLngToCell(lat, lon, resolution));
}

export function makeTiles(world: MockWorld) {
  const territories = index(
    world.rows.map((row) => ({
      type: "Feature",
      id: row.territory_id,
      geometry: world.shapes.get(row.territory_id) as GeoJSON.MultiPolygon,
      properties: {
        territory_id: row.territory_id,
        code: row.code,
        name: row.name,
        colour: row.colour,
        rep_name: row.rep?.name,
        customers: row.customers,
        work_minutes: row.work_minutes,
        imbalance: row.imbalance.work_minutes,
      },
    })),
  );
  const single = index(
    world.customers.map(({ id, lon, lat, external_id, name, class: serviceClass, segment, status }) => ({
      type: "Feature",
      id,
      geometry: point(lon, lat),
      properties: { external_id, name, class: serviceClass, segment, status, n: 1 },
    })),
  );
  const rollups = new Map<number, GeoJSONVT>();
  const aggregated = (zoom: number): GeoJSONVT => {
    const resolution = rollupResolution(zoom);
    const known = rollups.get(resolution);
    if (known) return known;
    const made = index(
      [...rollup(world.customers, resolution).values()].map((members) => ({
        type: "Feature",
        geometry: point(mean(members, "lon"), mean(members, "lat")),
        properties: { n: members.length, work_minutes: members.reduce((sum, member) => sum + member.work_minutes, 0) },
      })),
    );
    rollups.set(resolution, made);
    return made;
  };

  return (tileset: string, z: number, x: number, y: number): Uint8Array => {
    const source = tileset === "territories" ? territories : z >= DETAIL_ZOOM ? single : aggregated(z);
    const tile = source.getTile(z, x, y);
    return tile ? fromGeojsonVt({ [tileset]: tile }, { version: 2, extent: 4096 }) : new Uint8Array();
  };
}

export function heatmap(world: MockWorld, bbox: readonly number[], zoom: number, measure: string) {
  const [west = -180, south = -90, east = 180, north = 90] = bbox;
  const seen = world.customers.filter(({ lon, lat }) => lon >= west && lon <= east && lat >= south && lat <= north);
  const resolution = Math.min(9, Math.round(zoom * 0.62 + 1.4));
  const features = [...rollup(seen, resolution)].map(([cell, members]) => ({
    type: "Feature" as const,
    geometry: { type: "Polygon" as const, coordinates: [cellToBoundary(cell, true)] },
    properties: { cell, value: valueOf(members, cell, measure) },
  }));
  const sorted = features.map((hexagon) => hexagon.properties.value).toSorted((a, b) => a - b);
  const breaks = [1, 2, 3, 4, 5].map((i) => sorted[Math.floor((i * sorted.length) / 6)]);
  const total = sorted.reduce((sum, value) => sum + value, 0);
  return { type: "FeatureCollection", measure, resolution, breaks, total, features };
}

function valueOf(members: readonly MockCustomer[], cell: string, measure: string): number {
  if (measure === "customers") return members.length;
  if (measure === "density") return members.length / areaKm2(cell);
  return members.reduce((sum, member) => sum + (measure === "potential" ? member.potential : member.work_minutes), 0);
}

const mean = (members: readonly MockCustomer[], axis: "lon" | "lat"): number =>
  members.reduce((sum, member) => sum + member[axis], 0) / members.length;
