import { describe, expect, it } from "vitest";

import { DEFAULT_VIEW, formatHash, parseHash } from "../lib/hash";

describe("the view in the address", () => {
  it("survives the way there and back", () => {
    const view = { layerId: 2, planId: 71, heat: "work_minutes" as const, customers: false };
    expect(parseHash(formatHash(view))).toEqual(view);
  });

  it("leaves defaults out", () => {
    expect(formatHash(DEFAULT_VIEW)).toBe("");
  });

  it("ignores what it does not understand", () => {
    expect(parseHash("#layer=x&plan=-3&heat=fog&other=1")).toEqual(DEFAULT_VIEW);
  });
});
