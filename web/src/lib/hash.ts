import type { Measure } from "../api/types";

export const MEASURES: readonly Measure[] = ["customers", "density", "work_minutes", "potential"];

/** What a link to this page carries. Null means "the default", so a plain link keeps following the plan in force. */
export interface View {
  layerId: number | null;
  planId: number | null;
  heat: Measure | null;
  customers: boolean;
}

export const DEFAULT_VIEW: View = { layerId: null, planId: null, heat: null, customers: true };

export function parseHash(hash: string): View {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  return {
    layerId: positiveInteger(fields.get("layer")),
    planId: positiveInteger(fields.get("plan")),
    heat: MEASURES.find((measure) => measure === fields.get("heat")) ?? null,
    customers: fields.get("customers") !== "off",
  };
}

export function formatHash(view: View): string {
  const fields = new URLSearchParams();
  if (view.layerId !== null) fields.set("layer", String(view.layerId));
  if (view.planId !== null) fields.set("plan", String(view.planId));
  if (view.heat !== null) fields.set("heat", view.heat);
  if (!view.customers) fields.set("customers", "off");
  const text = fields.toString();
  return text && `#${text}`;
}

function positiveInteger(text: string | null): number | null {
  return text !== null && /^[1-9]\d{0,15}$/.test(text) ? Number(text) : null;
}
