import { describe, expect, it } from "vitest";

import { heatBreaks, quantileBreaks } from "../lib/breaks";

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);

describe("class boundaries", () => {
  it("cuts values into classes of equal size", () => {
    expect(quantileBreaks(upTo(12), 3)).toEqual([5, 9]);
  });

  it("merges boundaries that many equal values share", () => {
    expect(quantileBreaks([1, 1, 1, 1, 1, 1, 1, 2, 2, 9], 5)).toEqual([2]);
  });

  it("makes no class of values that are all equal, or of none", () => {
    expect(quantileBreaks([4, 4, 4])).toEqual([]);
    expect(quantileBreaks([])).toEqual([]);
  });

  it("takes the boundaries the service gave, without minimum and maximum", () => {
    expect(heatBreaks(upTo(100), [1, 20, 40, 60, 80, 100])).toEqual([20, 40, 60, 80]);
  });

  it("computes its own where the service gave none that divides the values", () => {
    expect(heatBreaks(upTo(6), undefined)).toEqual([2, 3, 4, 5, 6]);
    expect(heatBreaks([1, 1, 1, 2], [1, 1, 2])).toEqual([2]);
  });
});
