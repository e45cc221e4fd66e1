import { describe, expect, it } from "vitest";

import { mapBounds, viewportBbox } from "../lib/geography";
import { unwrapRing } from "../lib/unwrap";

describe("boxes", () => {
  it("lets a box that crosses 180° end east of where it starts", () => {
    expect(mapBounds([170, -20, -170, 10])).toEqual([
      [170, -20],
      [190, 10],
    ]);
  });

  it("wraps a viewport in another copy of the world", () => {
    expect(viewportBbox(350, -5, 370, 5)).toBe("-10.0000,-5.0000,10.0000,5.0000");
    expect(viewportBbox(170, -5, 190, 5)).toBe("170.0000,-5.0000,-170.0000,5.0000");
  });

  it("asks for the whole circle when the view is wider than the world", () => {
    expect(viewportBbox(-300, -95, 300, 85)).toBe("-180.0000,-90.0000,180.0000,85.0000");
  });
});

describe("outlines on a flat map", () => {
  it("leaves an ordinary ring alone", () => {
    const ring = [[0, 0], [10, 0], [10, 10], [0, 0]];
    expect(unwrapRing(ring)).toEqual(ring);
  });

  it("carries a ring across 180° without a jump", () => {
    const ring = [[160, 0], [-170, 0], [-170, 10], [160, 10], [160, 0]];
    expect(unwrapRing(ring).map(([lon]) => lon)).toEqual([160, 190, 190, 160, 160]);
  });

  it("closes a ring around the pole over the pole", () => {
    const ring = [[-120, -70], [0, -70], [120, -70], [-120, -70]];
    expect(unwrapRing(ring).slice(-3)).toEqual([[240, -90], [-120, -90], [-120, -70]]);
  });
});
