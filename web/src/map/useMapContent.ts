import type { Map } from "maplibre-gl";
import { useEffect, useRef } from "react";

import type { Heatmap, Plan } from "../api/types";
import { mapBounds } from "../lib/geography";
import { hideHeat, showHeat } from "./heatLayer";
import type { HeatScale } from "./heatLayer";
import { LAYER, SOURCE, TILE_LAYER } from "./ids";
import { addPlanLayers, removePlanLayers, territoryOpacity } from "./planLayers";

const FIT_PADDING_PX = 48;

/** Draws the plan and brings it into view, unless the plan before it covered the same ground: drafts get compared. */
export function usePlanOnMap(map: Map | null, plan: Plan | null): void {
  const fitted = useRef("");
  useEffect(() => {
    if (!map || !plan) return undefined;
    const bbox = plan.bbox.join();
    if (bbox !== fitted.current) {
      map.fitBounds(mapBounds(plan.bbox), { padding: FIT_PADDING_PX, animate: fitted.current !== "" });
      fitted.current = bbox;
    }
    addPlanLayers(map, plan);
    return () => {
      if (isAlive(map)) removePlanLayers(map, plan);
    };
  }, [map, plan]);
}

export function useHeatOnMap(map: Map | null, plan: Plan | null, isOn: boolean, heat: Heatmap | null, scale: HeatScale | null): void {
  useEffect(() => {
    if (!map) return;
    if (heat && scale) showHeat(map, heat, scale);
    else hideHeat(map);
  }, [map, heat, scale]);

  useEffect(() => {
    if (map && plan) map.setPaintProperty(LAYER.territoryFill, "fill-opacity", territoryOpacity(isOn));
  }, [map, plan, isOn]);
}

export function useCustomersOnMap(map: Map | null, plan: Plan | null, areShown: boolean): void {
  useEffect(() => {
    if (!map || !plan) return;
    for (const layer of [LAYER.bubbles, LAYER.bubbleCounts, LAYER.customers]) {
      map.setLayoutProperty(layer, "visibility", areShown ? "visible" : "none");
    }
  }, [map, plan, areShown]);
}

/** Marks one feature as hovered or selected for as long as it is the one. */
export function useMark(
  map: Map | null,
  plan: Plan | null,
  source: "territories" | "customers",
  mark: "hovered" | "selected",
  id: number | null,
): void {
  useEffect(() => {
    if (!map || !plan || id === null) return undefined;
    const target = { source: SOURCE[source], sourceLayer: TILE_LAYER[source], id };
    map.setFeatureState(target, { [mark]: true });
    return () => {
      if (isAlive(map) && map.getSource(target.source)) map.setFeatureState(target, { [mark]: false });
    };
  }, [map, plan, source, mark, id]);
}

/** React may run clean-ups after the map itself was removed, when it has no style any more. */
const isAlive = (map: Map): boolean => !map._removed;
