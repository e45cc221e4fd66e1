import type { BalanceRow, ByMeasure, PlanSummary } from "../api/types";

export type SortColumn = "code" | "customers" | "work_minutes" | "imbalance";

export interface SortOrder {
  column: SortColumn;
  descending: boolean;
}

const byCode = new Intl.Collator("en", { numeric: true }).compare;

export function sortRows(rows: readonly BalanceRow[], order: SortOrder, measure: string): BalanceRow[] {
  const sign = order.descending ? -1 : 1;
  return rows.toSorted((a, b) => sign * compare(a, b, order.column, measure) || byCode(a.code, b.code));
}

function compare(a: BalanceRow, b: BalanceRow, column: SortColumn, measure: string): number {
  switch (column) {
    case "code":
      return byCode(a.code, b.code);
    case "imbalance":
      return (a.imbalance[measure] ?? 0) - (b.imbalance[measure] ?? 0);
    default:
      return (a[column] ?? 0) - (b[column] ?? 0);
  }
}

/** The balanced measures, the primary one first: work where it is balanced, else the tightest tolerance. */
export function balancedMeasures(plan: Pick<PlanSummary, "tolerances" | "max_imbalance">): string[] {
  const tolerances: ByMeasure = plan.tolerances;
  const rank = (measure: string): number => (measure === "work_minutes" ? -1 : (tolerances[measure] ?? Infinity));
  return [...new Set([...Object.keys(tolerances), ...Object.keys(plan.max_imbalance)])].toSorted((a, b) => rank(a) - rank(b));
}

export const isOutside = (imbalance: number, tolerance: number | undefined): boolean =>
  tolerance !== undefined && Math.abs(imbalance) > tolerance;

/** Half-width of the bars' axis: room for the widest bar and for the band, rounded up to a tidy number. */
export function barExtent(rows: readonly BalanceRow[], measure: string, tolerance: number | undefined): number {
  const widest = rows.reduce((most, row) => Math.max(most, Math.abs(row.imbalance[measure] ?? 0)), 0);
  const needed = Math.max(widest, (tolerance ?? 0) * 1.25, 0.001);
  const step = 10 ** Math.floor(Math.log10(needed)) / 2;
  return Math.ceil(needed / step) * step;
}
