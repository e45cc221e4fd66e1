import { cellArea, cellsToMultiPolygon, cellToLatLng, gridDisk, latLngToCell, polygonToCells } from "h3-js";
import { createRequire } from "node:module";
import { feature } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";

import type { BalanceRow, Bbox } from "../../api/types";

/** A made-up organisation in Germany: enough structure to judge the page by, none of it meaningful. */
const RESOLUTION = 6;
const CITIES: [lon: number, lat: number, weight: number][] = [
  [13.4, 52.52, 9], [9.99, 53.55, 6], [11.58, 48.14, 6], [6.96, 50.94, 6], [8.68, 50.11, 5], [9.18, 48.78, 5], [6.78, 51.22, 5],
  [7.47, 51.51, 5], [12.37, 51.34, 4], [8.8, 53.08, 3], [13.74, 51.05, 4], [9.73, 52.37, 4], [11.08, 49.45, 4], [8.47, 49.49, 3],
  [7.85, 47.99, 2], [12.1, 49.02, 2], [10.89, 48.37, 2], [11.03, 50.98, 2], [12.14, 54.09, 1.5], [9.5, 51.31, 2], [11.63, 52.12, 1.5],
];
const REPS = ["Ada Brandt", "Jonas Keller", "Mira Vogt", "Emil Sommer", "Lena Hartwig", "Paul Richter", "Nora Engel", "Timo Lang"];
const CLASSES = [["S", 0.04], ["A", 0.16], ["B", 0.4], ["C", 0.75], ["D", 1]] as const;

export interface MockCustomer {
  id: number;
  external_id: string;
  name: string;
  lon: number;
  lat: number;
  class: string;
  segment: string;
  status: string;
  potential: number;
  work_minutes: number;
  last_visit_at: string | null;
}

export interface MockWorld {
  customers: MockCustomer[];
  rows: BalanceRow[];
  shapes: Map<number, GeoJSON.MultiPolygon>;
  bbox: Bbox;
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

function germanCells(): string[] {
  const file = createRequire(import.meta.url)("world-atlas/countries-50m.json") as Topology;
  const countries = feature(file, file.objects.countries as GeometryCollection<{ name: string }>).features;
  const germany = countries.find((country) => country.properties.name === "Germany")?.geometry;
  const parts = germany?.type === "MultiPolygon" ? germany.coordinates : [];
  return parts.flatMap((part) => polygonToCells(part as number[][][], RESOLUTION, true));
}

export function makeWorld(nTerritories: number, nCustomers: number, seed: number): MockWorld {
  const random = generator(seed);
  const cells = germanCells();
  const inside = new Set(cells);
  const customers = makeCustomers(nCustomers, random, inside);
  const territoryOf = alignCells(cells, nTerritories, customers, random);
  const colours = colourTerritories(territoryOf, nTerritories);
  const shapes = new Map<number, GeoJSON.MultiPolygon>();
  const rows = Array.from({ length: nTerritories }, (_, i): BalanceRow => {
    const own = cells.filter((cell) => territoryOf.get(cell) === i);
    const coordinates = cellsToMultiPolygon(own, true);
    shapes.set(i + 1, { type: "MultiPolygon", coordinates });
    const served = customers.filter((customer) => territoryOf.get(latLngToCell(customer.lat, customer.lon, RESOLUTION)) === i);
    const target = 96_000 * 60;
    const [work, count] = [(random() - 0.5) * (i === 3 ? 0.16 : 0.07), (random() - 0.5) * 0.24];
    return {
      territory_id: i + 1,
      code: `T${String(i + 1).padStart(2, "0")}`,
      name: `Territory ${i + 1}`,
      colour: colours[i] ?? 0,
      rep: i === 6 ? null : { id: i + 1, name: REPS[i % REPS.length] ?? "" },
      n_cells: own.length,
      customers: served.length,
      work_minutes: Math.round(target * (1 + work) * 0.02),
      potential: served.reduce((sum, customer) => sum + customer.potential, 0),
      target_work_minutes: target * 0.02,
      imbalance: { work_minutes: work, customers: count },
      components: 1,
      label_point: middle(own),
      bbox: bboxOf(coordinates.flat(2)),
    };
  });
  return { customers, rows, shapes, bbox: bboxOf(rows.flatMap(({ bbox: [w, s, e, n] }) => [[w, s], [e, n]])) };
}

function makeCustomers(n: number, random: () => number, inside: Set<string>): MockCustomer[] {
  const customers: MockCustomer[] = [];
  const total = CITIES.reduce((sum, [, , weight]) => sum + weight, 0);
  while (customers.length < n) {
    let pick = random() * total * 1.3;
    const city = CITIES.find(([, , weight]) => (pick -= weight) < 0);
    const spread = (): number => (random() - 0.5) * (0.08 + 0.9 * random() ** 4);
    const [lon, lat] = city ? [city[0] + spread(), city[1] + spread() * 0.62] : [6 + random() * 9, 47.3 + random() * 7.6];
    if (!inside.has(latLngToCell(lat, lon, RESOLUTION))) continue;
    const id = customers.length + 1;
    const rank = random();
    customers.push({
      id,
      external_id: `C-${10_000 + id}`,
      name: `${["Nordlicht", "Rhein", "Alpen", "Linden", "Falken", "Ufer"][id % 6]} ${["Apotheke", "Markt", "Werkstatt", "Klinik"][id % 4]} ${id}`,
      lon,
      lat,
      class: CLASSES.find(([, upTo]) => rank <= upTo)?.[0] ?? "D",
      segment: ["retail", "health", "trade"][id % 3] ?? "retail",
      status: ["active", "active", "active", "lead", "inactive"][id % 5] ?? "active",
      potential: Math.round(500 + random() ** 3 * 40_000),
      work_minutes: Math.round(60 + random() * 900),
      last_visit_at: id % 4 === 0 ? null : `2026-0${1 + (id % 8)}-1${id % 10}T09:30:00Z`,
    });
  }
  return customers;
}

/** Nearest of some centres drawn from the customers: connected enough, balanced not at all. */
function alignCells(cells: string[], n: number, customers: MockCustomer[], random: () => number): Map<string, number> {
  let centres = Array.from({ length: n }, () => customers[Math.floor(random() * customers.length)] as { lon: number; lat: number });
  const nearest = (lon: number, lat: number): number => {
    const squares = centres.map((centre) => ((centre.lon - lon) * 0.63) ** 2 + (centre.lat - lat) ** 2);
    return squares.indexOf(Math.min(...squares));
  };
  for (let round = 0; round < 8; round++) {
    const sums = centres.map(() => ({ lon: 0, lat: 0, n: 0 }));
    for (const { lon, lat } of customers) {
      const sum = sums[nearest(lon, lat)];
      if (sum) Object.assign(sum, { lon: sum.lon + lon, lat: sum.lat + lat, n: sum.n + 1 });
    }
    centres = sums.map((sum, i) => (sum.n > 0 ? { lon: sum.lon / sum.n, lat: sum.lat / sum.n } : (centres[i] as { lon: number; lat: number })));
  }
  return new Map(cells.map((cell) => [cell, nearest(cellToLatLng(cell)[1], cellToLatLng(cell)[0])]));
}

function colourTerritories(territoryOf: Map<string, number>, n: number): number[] {
  const neighbours = Array.from({ length: n }, () => new Set<number>());
  for (const [cell, own] of territoryOf) {
    for (const beside of gridDisk(cell, 1)) {
      const other = territoryOf.get(beside);
      if (other !== undefined && other !== own) neighbours[own]?.add(other);
    }
  }
  const colours: number[] = [];
  for (let i = 0; i < n; i++) {
    const taken = new Set([...(neighbours[i] ?? [])].map((other) => colours[other]));
    let colour = 0;
    while (taken.has(colour)) colour++;
    colours.push(colour);
  }
  return colours;
}

function middle(cells: string[]): [number, number] {
  const at = cells.map((cell) => cellToLatLng(cell));
  return [at.reduce((sum, [, lon]) => sum + lon, 0) / at.length, at.reduce((sum, [lat]) => sum + lat, 0) / at.length];
}

function bboxOf(points: number[][]): Bbox {
  const [lons, lats] = [points.map(([lon = 0]) => lon), points.map(([, lat = 0]) => lat)];
  return [Math.min(...lons), Math.min(...lats), Math.max(...lons), Math.max(...lats)];
}

export const areaKm2 = (cell: string): number => cellArea(cell, "km2");
