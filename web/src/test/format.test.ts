import { describe, expect, it } from "vitest";

import { formatDate, formatHeat, formatHours, formatImbalance, formatTolerance, measureTitle, orUntold, plural } from "../lib/format";

describe("numbers", () => {
  it("shows hours whole, and with one decimal where whole ones would say nothing", () => {
    expect(formatHours(112_620)).toBe("1,877\u202fh");
    expect(formatHours(90)).toBe("1.5\u202fh");
    expect(formatHours(0)).toBe("0\u202fh");
  });

  it("signs an imbalance, with a real minus, and not when it rounds to zero", () => {
    expect(formatImbalance(0.0312)).toBe("+3.1\u202f%");
    expect(formatImbalance(-0.0675)).toBe("\u22126.8\u202f%");
    expect(formatImbalance(-0.0004)).toBe("0.0\u202f%");
  });

  it("shows a dash for what is not told, and zero for none", () => {
    expect(orUntold(null, formatHours)).toBe("–");
    expect(orUntold(undefined, formatImbalance)).toBe("–");
    expect(orUntold(0, formatHours)).toBe("0\u202fh");
  });

  it("writes a tolerance without needless decimals", () => {
    expect(formatTolerance(0.05)).toBe("5\u202f%");
    expect(formatTolerance(0.075)).toBe("7.5\u202f%");
  });

  it("shows heat in the unit of its measure", () => {
    expect(formatHeat("work_minutes", 600)).toBe("10");
    expect(formatHeat("density", 0.01234)).toBe("0.012");
    expect(formatHeat("customers", 1234)).toBe("1,234");
    expect(formatHeat("potential", 1_234_567)).toBe("1.23M");
  });
});

describe("words", () => {
  it("names measures it does not know", () => {
    expect(measureTitle("work_minutes")).toBe("Work");
    expect(measureTitle("beds_planned")).toBe("Beds planned");
  });

  it("counts one and many", () => {
    expect(plural(1, "territory", "territories")).toBe("1 territory");
    expect(plural(1200, "cell")).toBe("1,200 cells");
  });

  it("says never where there was no visit", () => {
    expect(formatDate(null)).toBe("never");
    expect(formatDate("2026-03-14T12:00:00Z")).toBe("14 Mar 2026");
  });
});
