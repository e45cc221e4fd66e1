import type { ExpressionSpecification, Map } from "maplibre-gl";

import type { Heatmap } from "../api/types";
import { heatBreaks } from "../lib/breaks";
import { heatColours } from "../lib/palette";
import { clearData, setData } from "./base";
import { LAYER, SOURCE } from "./ids";

export interface HeatScale {
  breaks: number[];
  colours: string[];
}

export function heatScale(heat: Heatmap): HeatScale {
  const breaks = heatBreaks(
    heat.features.map((hexagon) => hexagon.properties.value),
    heat.breaks,
  );
  return { breaks, colours: heatColours(breaks.length + 1) };
}

export function showHeat(map: Map, heat: Heatmap, { breaks, colours }: HeatScale): void {
  setData(map, SOURCE.heat, heat);
  map.setPaintProperty(LAYER.heat, "fill-color", colourOf(breaks, colours));
  map.setLayoutProperty(LAYER.heat, "visibility", "visible");
}

export function hideHeat(map: Map): void {
  map.setLayoutProperty(LAYER.heat, "visibility", "none");
  clearData(map, SOURCE.heat);
}

function colourOf(breaks: readonly number[], colours: readonly string[]): string | ExpressionSpecification {
  const [lowest = "#fed976"] = colours;
  if (breaks.length === 0) return lowest;
  const steps = breaks.flatMap((from, i) => [from, colours[i + 1] ?? lowest]);
  return ["step", ["get", "value"], lowest, ...steps] as ExpressionSpecification;
}
