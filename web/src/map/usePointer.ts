import type { Map, MapMouseEvent } from "maplibre-gl";
import { useEffect, useState } from "react";

import { featuresAt } from "./features";
import type { Pointed } from "./features";

export interface Pointer extends Pointed {
  x: number;
  y: number;
  /** Too near the right or lower edge for a tooltip on that side. */
  isRight: boolean;
  isLow: boolean;
}

const TOOLTIP_PX = { width: 260, height: 120 } as const;

/** What the pointer is over; null while it is elsewhere or the map is dragged. `onClick` must be stable. */
export function usePointer(map: Map | null, onClick: (pointed: Pointed) => void): Pointer | null {
  const [pointer, setPointer] = useState<Pointer | null>(null);

  useEffect(() => {
    if (!map) return undefined;
    let frame = 0;
    let at: { x: number; y: number } | null = null;
    const look = (): void => {
      if (!at) return;
      const { clientWidth, clientHeight } = map.getContainer();
      const isRight = at.x > clientWidth - TOOLTIP_PX.width;
      const isLow = at.y > clientHeight - TOOLTIP_PX.height;
      setPointer({ ...featuresAt(map, at), ...at, isRight, isLow });
    };
    const hide = (): void => {
      cancelAnimationFrame(frame);
      setPointer(null);
    };
    const leave = (): void => {
      at = null;
      hide();
    };
    const move = ({ point: { x, y } }: MapMouseEvent): void => {
      at = { x, y };
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(look);
    };
    const click = ({ point }: MapMouseEvent): void => {
      const pointed = featuresAt(map, point);
      if (pointed.bubble) map.easeTo({ center: pointed.bubble.at, zoom: Math.min(map.getZoom() + 2, map.getMaxZoom()) });
      else onClick(pointed);
    };
    map.on("mousemove", move);
    map.on("mouseout", leave);
    map.on("movestart", hide);
    // A zoom or fresh data brings something else under a pointer that stood still.
    map.on("idle", look);
    map.on("click", click);
    return () => {
      cancelAnimationFrame(frame);
      map.off("mousemove", move);
      map.off("mouseout", leave);
      map.off("movestart", hide);
      map.off("idle", look);
      map.off("click", click);
    };
  }, [map, onClick]);

  useEffect(() => {
    if (map) map.getCanvas().style.cursor = pointer?.customer || pointer?.bubble || pointer?.territoryId ? "pointer" : "";
  }, [map, pointer]);

  return pointer;
}
