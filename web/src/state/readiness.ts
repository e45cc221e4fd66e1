import type { Map } from "maplibre-gl";

/**
 * Keeps `<html data-map-ready>` at "true" while nothing is loading and everything is drawn. Browser tests and the
 * screenshot tool wait for it; network silence would come too early.
 */
export function watchReadiness(map: Map, isBusy: () => boolean): void {
  const { dataset } = document.documentElement;
  dataset.mapReady = "false";
  const unready = (): void => {
    dataset.mapReady = "false";
  };
  map.on("dataloading", unready);
  map.on("movestart", unready);
  map.on("idle", () => {
    dataset.mapReady = isBusy() ? "false" : "true";
  });
}
