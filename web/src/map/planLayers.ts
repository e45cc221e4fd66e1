import type { ExpressionSpecification, LayerSpecification, Map } from "maplibre-gl";

import type { Plan } from "../api/types";
import { TERRITORY_COLOURS } from "../lib/palette";
import { clearData, setData } from "./base";
import { BUBBLE_COUNTS, CUSTOMER_CIRCLES } from "./customerLayers";
import { LAYER, SOURCE, TILE_LAYER } from "./ids";

const INK = "#1c2733";

const fillColour: ExpressionSpecification = [
  "to-color",
  ["at", ["%", ["to-number", ["get", "colour"], 0], TERRITORY_COLOURS.length], ["literal", [...TERRITORY_COLOURS]]],
];
const isHovered: ExpressionSpecification = ["boolean", ["feature-state", "hovered"], false];
const isSelected: ExpressionSpecification = ["boolean", ["feature-state", "selected"], false];

const shades = (plain: number): ExpressionSpecification => ["case", isSelected, plain + 0.14, isHovered, plain + 0.08, plain];

/**
 * Fills leave the ground to the customers when there are few on screen, and to the heat altogether: two colourings of
 * one ground cannot be read.
 */
export function territoryOpacity(heatOn: boolean): ExpressionSpecification | number {
  return heatOn ? 0 : ["interpolate", ["linear"], ["zoom"], 9, shades(0.52), 13, shades(0.3)];
}

const tiled = { source: SOURCE.territories, "source-layer": TILE_LAYER.territories } as const;

const FILL: LayerSpecification = {
  id: LAYER.territoryFill,
  type: "fill",
  ...tiled,
  paint: { "fill-color": fillColour, "fill-opacity": territoryOpacity(false) },
};

/** A white casing keeps borders crisp on every fill; the active outline is a layer of its own, above all neighbours. */
const LINES: LayerSpecification[] = [
  {
    id: LAYER.territoryCasing,
    type: "line",
    ...tiled,
    layout: { "line-join": "round" },
    paint: { "line-color": "#ffffff", "line-width": ["interpolate", ["linear"], ["zoom"], 4, 1.25, 12, 4], "line-opacity": 0.85 },
  },
  {
    id: LAYER.territoryLine,
    type: "line",
    ...tiled,
    layout: { "line-join": "round" },
    paint: { "line-color": "#4c5a66", "line-width": ["interpolate", ["linear"], ["zoom"], 4, 0.5, 12, 1.5] },
  },
  {
    id: LAYER.territoryActive,
    type: "line",
    ...tiled,
    layout: { "line-join": "round" },
    paint: { "line-color": INK, "line-width": ["case", isSelected, 3, isHovered, 2, 0] },
  },
];

/** Pixels an average territory must measure before all codes are shown, overlapping ones too. */
const ROOM_FOR_LABEL_PX = 56;

/** The zoom at which an average territory has room for its code; below it, codes that collide are left out. */
function labelZoom({ balance }: Plan): number {
  const widths = balance.map(({ bbox: [west, , east] }) => (east < west ? east + 360 : east) - west);
  const mean = widths.reduce((sum, width) => sum + width, 0) / widths.length;
  return Math.log2((360 * ROOM_FOR_LABEL_PX) / (512 * Math.max(mean, 0.001)));
}

const labels = (plan: Plan): LayerSpecification => ({
  id: LAYER.labels,
  type: "symbol",
  source: SOURCE.labels,
  layout: {
    "text-field": ["get", "code"],
    // MapLibre reads the weight out of the first name and falls back to the second for the family.
    "text-font": ["Bold", "sans-serif"],
    "text-size": ["interpolate", ["linear"], ["zoom"], 4, 11, 10, 14],
    // Beside its point where the number of a bubble has the place.
    "text-variable-anchor": ["center", "bottom", "top", "left", "right", "bottom-left", "bottom-right", "top-left", "top-right"],
    "text-radial-offset": 0.9,
    "text-overlap": ["step", ["zoom"], "never", labelZoom(plan), "always"],
    "text-padding": 2,
    "symbol-sort-key": ["get", "rank"],
  },
  paint: { "text-color": INK, "text-halo-color": "rgba(255, 255, 255, 0.95)", "text-halo-width": 2 },
});

/** Text is placed from the last layer down: numbers stay in their bubbles and codes give way. */
const aboveHeat = (plan: Plan): LayerSpecification[] => [...LINES, ...CUSTOMER_CIRCLES, labels(plan), BUBBLE_COUNTS];

export function addPlanLayers(map: Map, plan: Plan): void {
  for (const [source, tileset] of [
    [SOURCE.territories, "territories"],
    [SOURCE.customers, "customers"],
  ] as const) {
    map.addSource(source, { type: "vector", url: `${location.origin}/v1/tiles/${tileset}.json?plan_id=${plan.id}` });
  }
  map.addLayer(FILL, LAYER.heat);
  for (const layer of aboveHeat(plan)) map.addLayer(layer);
  setData(map, SOURCE.labels, labelPoints(plan));
}

export function removePlanLayers(map: Map, plan: Plan): void {
  for (const { id } of [FILL, ...aboveHeat(plan)]) map.removeLayer(id);
  for (const source of [SOURCE.territories, SOURCE.customers]) map.removeSource(source);
  clearData(map, SOURCE.labels);
}

/** One point per territory: labels from the tiles would repeat in every tile. The heaviest win where space is short. */
function labelPoints(plan: Plan): GeoJSON.FeatureCollection {
  return {
    type: "FeatureCollection",
    features: plan.balance.map((row) => ({
      type: "Feature",
      geometry: { type: "Point", coordinates: row.label_point },
      properties: { code: row.code, rank: -(row.work_minutes ?? 0) },
    })),
  };
}
