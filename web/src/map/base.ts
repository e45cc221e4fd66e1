import * as maplibregl from "maplibre-gl";
import type { StyleSpecification } from "maplibre-gl";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";

import { apiKey } from "../api/key";
import { ownAddress } from "../api/client";
import type { Backdrop } from "./backdrop";
import { HEAT_OPACITY, LAYER, SOURCE } from "./ids";

maplibregl.setWorkerUrl(workerUrl);

const NOTHING: GeoJSON.FeatureCollection = { type: "FeatureCollection", features: [] };
const ATTRIBUTION = "Natural Earth · customers © your data";

/** No `glyphs`: text is then drawn with the reader's own fonts and nothing is fetched. */
const STYLE: StyleSpecification = {
  version: 8,
  sources: {
    [SOURCE.land]: { type: "geojson", data: NOTHING, tolerance: 0.2 },
    [SOURCE.borders]: { type: "geojson", data: NOTHING, tolerance: 0.2 },
    [SOURCE.heat]: { type: "geojson", data: NOTHING },
    [SOURCE.labels]: { type: "geojson", data: NOTHING },
  },
  layers: [
    { id: "water", type: "background", paint: { "background-color": "#dbe4ea" } },
    { id: "land", type: "fill", source: SOURCE.land, paint: { "fill-color": "#f7f6f2" } },
    {
      id: "borders",
      type: "line",
      source: SOURCE.borders,
      layout: { "line-join": "round" },
      paint: { "line-color": "#b3b8bb", "line-width": ["interpolate", ["linear"], ["zoom"], 2, 0.5, 8, 1.25] },
    },
    {
      id: LAYER.heat,
      type: "fill",
      source: SOURCE.heat,
      layout: { visibility: "none" },
      paint: { "fill-opacity": HEAT_OPACITY },
    },
  ],
};

export function createMap(container: HTMLElement): maplibregl.Map {
  const map = new maplibregl.Map({
    container,
    style: STYLE,
    center: [10, 30],
    zoom: 1.2,
    maxZoom: 17,
    maxPitch: 0,
    dragRotate: false,
    attributionControl: false,
    transformRequest: (url) => {
      // A blob or data address is not a request to any host.
      if (!/^(https?:)?\//.test(url) || !new URL(url, location.origin).pathname.startsWith("/v1/")) return { url };
      const key = apiKey.get();
      return key ? { url: ownAddress(url), headers: { Authorization: `Bearer ${key}` } } : { url: ownAddress(url) };
    },
  });
  map.touchZoomRotate.disableRotation();
  map.keyboard.disableRotation();
  map.addControl(new maplibregl.AttributionControl({ compact: false, customAttribution: ATTRIBUTION }), "bottom-right");
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 96 }), "bottom-right");
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "bottom-right");
  return map;
}

export function setBackdrop(map: maplibregl.Map, backdrop: Backdrop): void {
  setData(map, SOURCE.land, backdrop.land);
  setData(map, SOURCE.borders, backdrop.borders);
}

export function setData(map: maplibregl.Map, source: string, data: GeoJSON.GeoJSON): void {
  map.getSource<maplibregl.GeoJSONSource>(source)?.setData(data);
}

export const clearData = (map: maplibregl.Map, source: string): void => setData(map, source, NOTHING);
