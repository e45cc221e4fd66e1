import type { Map } from "maplibre-gl";
import { useEffect, useRef, useState } from "react";
import type { RefObject } from "react";

import { ApiProblem } from "../api/client";
import { viewportBbox } from "../lib/geography";
import { watchReadiness } from "../state/readiness";
import type { Viewport } from "../state/useHeat";
import { asProblem } from "../state/useResource";
import { loadBackdrop } from "./backdrop";
import { createMap, setBackdrop } from "./base";

interface Watchers {
  isBusy: boolean;
  onViewport: (viewport: Viewport) => void;
  onProblem: (problem: ApiProblem) => void;
}

/** The map once its empty style has loaded. `onViewport` and `onProblem` must be stable. */
export function useMap(container: RefObject<HTMLElement | null>, { isBusy, onViewport, onProblem }: Watchers): Map | null {
  const [map, setMap] = useState<Map | null>(null);
  const busy = useRef(true);

  useEffect(() => {
    if (!container.current) return undefined;
    const created = createMap(container.current);
    const aborter = new AbortController();
    let backdropPending = true;
    watchReadiness(created, () => busy.current || backdropPending);

    const loaded = new Promise((resolve) => created.once("load", resolve));
    void Promise.all([loadBackdrop(aborter.signal), loaded])
      .then(([backdrop]) => !aborter.signal.aborted && setBackdrop(created, backdrop))
      .catch((cause: unknown) => !aborter.signal.aborted && onProblem(asProblem(cause)))
      .finally(() => {
        backdropPending = false;
        if (!aborter.signal.aborted) created.triggerRepaint();
      });
    created.once("load", () => {
      setMap(created);
      onViewport(viewportOf(created));
    });
    created.on("moveend", () => onViewport(viewportOf(created)));
    created.on("error", (event) => onProblem(mapProblem(event.error)));
    return () => {
      aborter.abort();
      setMap(null);
      created.remove();
    };
  }, [container, onViewport, onProblem]);

  useEffect(() => {
    busy.current = isBusy;
    // An idle map stays silent; a frame makes it say "idle" again and with it "ready".
    if (!isBusy) map?.triggerRepaint();
  }, [map, isBusy]);

  return map;
}

function viewportOf(map: Map): Viewport {
  const bounds = map.getBounds();
  return {
    bbox: viewportBbox(bounds.getWest(), bounds.getSouth(), bounds.getEast(), bounds.getNorth()),
    zoom: Math.floor(map.getZoom()),
  };
}

/** MapLibre's request errors carry the status of the answer. */
function mapProblem(error: { message: string; status?: number; statusText?: string }): ApiProblem {
  if (error.status === undefined) return new ApiProblem(0, "The map could not be drawn in full", error.message, null);
  return new ApiProblem(error.status, "Map tiles missing", `A tile request answered ${error.status}. ${error.statusText ?? ""}`, null);
}
