/** Names of sources and layers; the order of layers is set where they are added. */
export const SOURCE = {
  land: "land",
  borders: "borders",
  heat: "heat",
  territories: "territories",
  customers: "customers",
  labels: "territory-labels",
} as const;

export const LAYER = {
  heat: "heat-hexagons",
  territoryFill: "territory-fill",
  territoryCasing: "territory-casing",
  territoryLine: "territory-line",
  territoryActive: "territory-active",
  bubbles: "customer-bubbles",
  bubbleCounts: "customer-bubble-counts",
  customers: "customer-points",
  labels: "territory-labels",
} as const;

/** Names of the layers inside the vector tiles: part of the API's contract. */
export const TILE_LAYER = { territories: "territories", customers: "customers" } as const;

/** From this zoom on customer tiles hold single customers instead of counts. */
export const DETAIL_ZOOM = 12;

/** Of the hexagons on the map, and of the legend that explains them. */
export const HEAT_OPACITY = 0.78;
