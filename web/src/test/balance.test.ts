import { describe, expect, it } from "vitest";

import type { BalanceRow } from "../api/types";
import { balancedMeasures, barExtent, isOutside, sortRows } from "../lib/balance";

const row = (code: string, customers: number, imbalance: number): BalanceRow => ({
  territory_id: 1,
  code,
  name: code,
  colour: 0,
  rep: null,
  n_cells: 1,
  customers,
  work_minutes: customers * 10,
  potential: 0,
  target_work_minutes: 100,
  imbalance: { work_minutes: imbalance },
  components: 1,
  label_point: [0, 0],
  bbox: [0, 0, 1, 1],
});
const rows = [row("T10", 5, -0.04), row("T2", 9, 0.01), row("T1", 5, 0.03)];
const codes = (sorted: BalanceRow[]): string[] => sorted.map(({ code }) => code);

describe("the balance table", () => {
  it("sorts codes as people count", () => {
    expect(codes(sortRows(rows, { column: "code", descending: false }, "work_minutes"))).toEqual(["T1", "T2", "T10"]);
  });

  it("sorts by a number, equal ones by code", () => {
    expect(codes(sortRows(rows, { column: "customers", descending: true }, "work_minutes"))).toEqual(["T2", "T1", "T10"]);
  });

  it("sorts what is not told as nothing", () => {
    const untold: BalanceRow = { ...row("T3", 0, 0), customers: null, work_minutes: null, imbalance: {} };
    expect(codes(sortRows([...rows, untold], { column: "customers", descending: true }, "work_minutes")).at(-1)).toBe("T3");
  });

  it("sorts imbalance with its sign", () => {
    expect(codes(sortRows(rows, { column: "imbalance", descending: false }, "work_minutes"))).toEqual(["T10", "T2", "T1"]);
  });

  it("puts work first, then the tightest tolerance", () => {
    const plan = { tolerances: { customers: 0.15, beds: 0.1, work_minutes: 0.2 }, max_imbalance: { potential: 0.3 } };
    expect(balancedMeasures(plan)).toEqual(["work_minutes", "beds", "customers", "potential"]);
  });

  it("calls outside only what is past the tolerance", () => {
    expect(isOutside(-0.051, 0.05)).toBe(true);
    expect(isOutside(0.05, 0.05)).toBe(false);
    expect(isOutside(0.9, undefined)).toBe(false);
  });

  it("gives bars room for the widest value and for the band", () => {
    expect(barExtent(rows, "work_minutes", 0.02)).toBeCloseTo(0.04);
    expect(barExtent(rows, "work_minutes", 0.05)).toBeCloseTo(0.065);
    expect(barExtent([], "work_minutes", undefined)).toBeGreaterThan(0);
  });
});
