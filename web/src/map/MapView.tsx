import "maplibre-gl/dist/maplibre-gl.css";
import { useEffect, useRef } from "react";

import type { ApiProblem } from "../api/client";
import type { Bbox, Heatmap, Measure, Plan } from "../api/types";
import { mapBounds } from "../lib/geography";
import type { Viewport } from "../state/useHeat";
import type { Pointed } from "./features";
import type { HeatScale } from "./heatLayer";
import { Tooltip } from "./Tooltip";
import { useMap } from "./useMap";
import { useCustomersOnMap, useHeatOnMap, useMark, usePlanOnMap } from "./useMapContent";
import { usePointer } from "./usePointer";

/** Closer than this a small territory fills the screen with nothing but backdrop. */
const FOCUS_MAX_ZOOM = 12.5;

/** Room for the details card, kept free where the map is wide enough to have room to spare. */
const DETAILS_PX = 310;
const ROOMY_PX = 720;

interface Props {
  plan: Plan | null;
  measure: Measure | null;
  heat: Heatmap | null;
  scale: HeatScale | null;
  showCustomers: boolean;
  hoveredId: number | null;
  selectedId: number | null;
  selectedCustomerId: number | null;
  /** A new object asks for a new flight, also to the same place. */
  focus: { bbox: Bbox } | null;
  isBusy: boolean;
  onHover: (territoryId: number | null) => void;
  onClick: (pointed: Pointed) => void;
  onViewport: (viewport: Viewport) => void;
  onProblem: (problem: ApiProblem) => void;
}

export function MapView(props: Props) {
  const { plan, focus, onHover } = props;
  const container = useRef<HTMLDivElement>(null);
  const map = useMap(container, props);
  usePlanOnMap(map, plan);
  useHeatOnMap(map, plan, props.measure !== null, props.heat, props.scale);
  useCustomersOnMap(map, plan, props.showCustomers);

  const pointer = usePointer(map, props.onClick);
  const pointedId = pointer?.territoryId ?? null;
  useEffect(() => onHover(pointedId), [onHover, pointedId]);
  useMark(map, plan, "territories", "hovered", props.hoveredId);
  useMark(map, plan, "territories", "selected", props.selectedId);
  useMark(map, plan, "customers", "hovered", pointer?.customer?.id ?? null);
  useMark(map, plan, "customers", "selected", props.selectedCustomerId);

  useEffect(() => {
    if (!map || !focus) return;
    const padding = { top: 72, right: map.getContainer().clientWidth > ROOMY_PX ? DETAILS_PX : 40, bottom: 56, left: 40 };
    map.fitBounds(mapBounds(focus.bbox), { padding, maxZoom: FOCUS_MAX_ZOOM, duration: 700 });
  }, [map, focus]);

  return (
    <section className="map" data-testid="map" aria-label="Map of territories and customers">
      <div className="map__canvas" ref={container} />
      {pointer && <Tooltip pointer={pointer} plan={plan} measure={props.measure} />}
    </section>
  );
}
