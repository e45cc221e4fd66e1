import type { Map, MapGeoJSONFeature, PointLike } from "maplibre-gl";

import { LAYER } from "./ids";

/** What lies under a point of the map, in the words of the page. */
export interface Pointed {
  territoryId: number | null;
  customer: { id: number; name: string; class: string | null; segment: string | null; status: string | null } | null;
  bubble: { n: number; workMinutes: number; at: [number, number] } | null;
  heat: number | null;
}

/** Points are small: a few pixels around the pointer count as a hit. */
const REACH_PX = 3;

export function featuresAt(map: Map, { x, y }: { x: number; y: number }): Pointed {
  const box: [PointLike, PointLike] = [
    [x - REACH_PX, y - REACH_PX],
    [x + REACH_PX, y + REACH_PX],
  ];
  const first = (at: PointLike | [PointLike, PointLike], layer: string): MapGeoJSONFeature | undefined =>
    map.getLayer(layer) && map.queryRenderedFeatures(at, { layers: [layer] })[0];

  const territory = first([x, y], LAYER.territoryFill);
  const customer = first(box, LAYER.customers);
  const bubble = customer ? undefined : first([x, y], LAYER.bubbles);
  const hexagon = first([x, y], LAYER.heat);
  return {
    territoryId: idOf(territory),
    customer: customerOf(customer),
    bubble: bubbleOf(bubble),
    heat: numberOf(hexagon?.properties.value),
  };
}

function customerOf(feature: MapGeoJSONFeature | undefined): Pointed["customer"] {
  const id = idOf(feature);
  if (feature === undefined || id === null) return null;
  const { name, class: serviceClass, segment, status } = feature.properties;
  return {
    id,
    name: textOf(name) ?? "Unnamed customer",
    class: textOf(serviceClass),
    segment: textOf(segment),
    status: textOf(status),
  };
}

function bubbleOf(feature: MapGeoJSONFeature | undefined): Pointed["bubble"] {
  if (feature?.geometry.type !== "Point") return null;
  const [lon = 0, lat = 0] = feature.geometry.coordinates;
  return {
    n: numberOf(feature.properties.n) ?? 1,
    workMinutes: numberOf(feature.properties.work_minutes) ?? 0,
    at: [lon, lat],
  };
}

const idOf = (feature: MapGeoJSONFeature | undefined): number | null => numberOf(feature?.id);
const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);
const textOf = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
