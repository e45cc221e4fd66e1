import { useMemo, useState } from "react";

import { getJson } from "../api/client";
import type { Heatmap, Measure } from "../api/types";
import { useResource } from "./useResource";
import type { Resource } from "./useResource";

export interface Viewport {
  bbox: string;
  zoom: number;
}

/** The heat of the viewport. While the next viewport loads the last answer stays, so that panning does not flicker. */
export function useHeat(measure: Measure | null, viewport: Viewport | null): Resource<Heatmap> {
  const path = useMemo(() => {
    if (measure === null || viewport === null) return null;
    const { bbox, zoom } = viewport;
    return `/v1/heatmap?${new URLSearchParams({ bbox, zoom: String(zoom), measure, format: "geojson" }).toString()}`;
  }, [measure, viewport]);
  const answer = useResource<Heatmap>(path, getJson);

  const [latest, setLatest] = useState<{ measure: Measure | null; heat: Heatmap } | null>(null);
  if (answer.data !== null && answer.data !== latest?.heat) setLatest({ measure, heat: answer.data });
  const kept = measure !== null && latest?.measure === measure ? latest.heat : null;
  return { ...answer, data: answer.problem ? null : (answer.data ?? kept) };
}
