// Draws one thing of the service at `base` with deck.gl; what came of it is in `window.seen`.
//
// Everything is asked for from another origin, with the key in a header.

import { Deck } from "@deck.gl/core";
import { H3HexagonLayer, MVTLayer } from "@deck.gl/geo-layers";
import { MapboxOverlay } from "@deck.gl/mapbox";
import * as maplibregl from "maplibre-gl";

const asked = new URLSearchParams(location.search);
const base = asked.get("base");
const headers = { Authorization: `Bearer ${asked.get("key")}` };
const SIZE = { width: 800, height: 600 };
const VIEW = { longitude: 120.2, latitude: 31.3, zoom: 6.3 };
const HEAT = `${base}/v1/heatmap?format=cells&resolution=5&bbox=116,28,124,34`;
const COLOURS = [
  [119, 170, 221],
  [238, 221, 136],
  [68, 187, 153],
  [238, 136, 102],
  [255, 170, 187],
  [187, 204, 51],
  [153, 221, 255],
  [170, 170, 0],
];
const ofTerritory = (feature) => COLOURS[feature.properties.colour % COLOURS.length];
const ofSum = (n) => [255, 240 - 60 * Math.min(4, Math.log10(1 + n)), 60];

const seen = { faults: [], drawn: [], isReady: false };
window.seen = seen;
const note = (error) => seen.faults.push(error?.message ?? String(error));

/** The TileJSON as it is; without a worker of our own deck.gl would fetch one from a foreign host. */
function tiles(tileset, look) {
  return new MVTLayer({
    id: tileset,
    data: `${base}/v1/tiles/${tileset}.json`,
    loadOptions: { fetch: { headers }, mvt: { workerUrl: "mvt-worker.js" } },
    pickable: true,
    lineWidthMinPixels: 1,
    pointRadiusMinPixels: 3,
    onError: note,
    onTileError: note,
    ...look,
  });
}

function heat() {
  return new H3HexagonLayer({
    id: "h3",
    data: HEAT,
    loadOptions: { fetch: { headers } },
    dataTransform: (table) => table.cells,
    getHexagon: ([cell]) => cell,
    getFillColor: ([, n]) => ofSum(n),
    extruded: false,
    highPrecision: true,
    pickable: true,
    onError: note,
  });
}

const LAYERS = {
  territories: () => tiles("territories", { getFillColor: ofTerritory }),
  cells: () => tiles("cells", { getFillColor: ofTerritory }),
  heat: () => tiles("heat", { getFillColor: (feature) => ofSum(feature.properties.value) }),
  customers: () => tiles("customers", { getFillColor: [138, 42, 127] }),
  geofences: () => tiles("geofences", { getFillColor: [51, 102, 170] }),
  h3: heat,
};

/** What can be seen, as a click anywhere would find it. */
const found = (drawing) => drawing.pickObjects({ x: 0, y: 0, ...SIZE }).map(({ object }) => object);

function drawLayer(name) {
  const deck = new Deck({
    parent: document.getElementById("map"),
    ...SIZE,
    initialViewState: VIEW,
    controller: true,
    layers: [LAYERS[name]()],
    onError: note,
    onAfterRender: () => {
      if (deck.props.layers.every((layer) => layer.isLoaded)) {
        seen.drawn = found(deck).map((object) => object.properties ?? object);
        seen.isReady = seen.drawn.length > 0;
      }
    },
  });
}

/** The style as it is: MapLibre draws it, and deck.gl its layers above. */
function drawStyle() {
  maplibregl.setWorkerUrl("maplibre-gl-worker.mjs");
  const map = new maplibregl.Map({
    container: "map",
    style: `${base}/v1/tiles/style.json`,
    transformRequest: (url) => ({ url, headers }),
  });
  const overlay = new MapboxOverlay({ layers: [heat()], onAfterRender: look });
  map.addControl(overlay);
  map.on("error", ({ error }) => note(error));
  map.on("idle", look);

  // Either may be the last to be drawn.
  function look() {
    if (map.loaded()) {
      seen.above = found(overlay).length;
      seen.drawn = map.queryRenderedFeatures().map(({ layer, properties }) => [layer.id, properties]);
      seen.isReady = seen.above > 0 && seen.drawn.length > 0;
    }
  }
}

const name = asked.get("draw");
if (name === "style") {
  drawStyle();
} else {
  drawLayer(name);
}
