import type { ExpressionSpecification, LayerSpecification } from "maplibre-gl";

import { CLASS_OUTLINE, CLASS_STYLES, UNCLASSED } from "../lib/palette";
import { DETAIL_ZOOM, LAYER, SOURCE, TILE_LAYER } from "./ids";

/** Only single customers carry an external id; everything else stands for `n` of them. */
const isSingle: ExpressionSpecification = ["has", "external_id"];
const isMarked: ExpressionSpecification = [
  "any",
  ["boolean", ["feature-state", "hovered"], false],
  ["boolean", ["feature-state", "selected"], false],
];
const count: ExpressionSpecification = ["to-number", ["get", "n"], 1];

function byClass<T extends string | number>(property: (style: (typeof CLASS_STYLES)[number]) => T, other: T): ExpressionSpecification {
  const cases: (string | T)[] = CLASS_STYLES.flatMap((style) => [style.name, property(style)]);
  return ["match", ["coalesce", ["get", "class"], ""], ...cases, other] as unknown as ExpressionSpecification;
}

// Stops are pairs of √n and pixels: areas grow with n at first, then slower, or cities would hide their country.
const areaRadius: ExpressionSpecification = ["interpolate", ["linear"], ["sqrt", count], 1, 2.5, 3, 4.5, 10, 10, 30, 15, 100, 22];
// The closer, the fewer fall into one bubble: growing keeps them findable.
const bubbleRadius: ExpressionSpecification = ["interpolate", ["linear"], ["zoom"], 6, areaRadius, DETAIL_ZOOM, ["*", areaRadius, 1.5]];

const radiusTimes = (factor: number): ExpressionSpecification =>
  byClass((style) => style.radius * factor, UNCLASSED.radius * factor);

const countText: ExpressionSpecification = [
  "case",
  ["<", count, 1000],
  ["to-string", count],
  ["concat", ["number-format", ["/", count, 1000], { "max-fraction-digits": 1 }], "k"],
];

const tiled = { source: SOURCE.customers, "source-layer": TILE_LAYER.customers } as const;

export const CUSTOMER_CIRCLES: LayerSpecification[] = [
  {
    id: LAYER.bubbles,
    type: "circle",
    ...tiled,
    filter: ["!", isSingle],
    layout: { "circle-sort-key": ["-", count] },
    paint: {
      "circle-radius": bubbleRadius,
      "circle-color": "#2b3d4f",
      "circle-opacity": 0.72,
      "circle-stroke-color": "#ffffff",
      "circle-stroke-width": 1,
      "circle-stroke-opacity": 0.9,
    },
  },
  {
    id: LAYER.customers,
    type: "circle",
    ...tiled,
    filter: isSingle,
    paint: {
      "circle-color": byClass((style) => style.colour, UNCLASSED.colour),
      "circle-radius": ["interpolate", ["linear"], ["zoom"], 12, radiusTimes(0.8), 16, radiusTimes(1.5)],
      "circle-stroke-color": ["case", isMarked, "#1c2733", CLASS_OUTLINE],
      "circle-stroke-width": ["case", isMarked, 3, 1],
    },
  },
];

export const BUBBLE_COUNTS: LayerSpecification = {
  id: LAYER.bubbleCounts,
  type: "symbol",
  ...tiled,
  // Smaller bubbles have no room for their number.
  filter: ["all", ["!", isSingle], [">=", count, 60]],
  layout: { "text-field": countText, "text-font": ["sans-serif"], "text-size": 10.5, "symbol-sort-key": ["-", count] },
  paint: { "text-color": "#ffffff" },
};
