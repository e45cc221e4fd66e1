import { describe, expect, it } from "vitest";

import { heatColours, TERRITORY_COLOURS, territoryColour } from "../lib/palette";

describe("territory colours", () => {
  it("has eight different ones", () => {
    expect(new Set(TERRITORY_COLOURS).size).toBe(8);
  });

  it("starts again where a plan needs more", () => {
    expect(territoryColour(8)).toBe(territoryColour(0));
    expect(territoryColour(-1)).toBe(territoryColour(7));
  });
});

describe("heat colours", () => {
  it("gives every class a colour of its own", () => {
    for (const n of [1, 2, 3, 4, 5, 6, 7]) expect(new Set(heatColours(n)).size).toBe(n);
  });
});
