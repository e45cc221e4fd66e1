import { getAll, getJson } from "../api/client";
import type { Layer, Plan, PlanSummary } from "../api/types";
import type { View } from "../lib/hash";
import { useResource } from "./useResource";
import type { Resource } from "./useResource";

export interface PlanChoice {
  layers: Resource<Layer[]>;
  layer: Layer | null;
  plans: Resource<PlanSummary[]>;
  plan: Resource<Plan>;
  planId: number | null;
  /** Everything is known and there is no plan to show. */
  isEmpty: boolean;
}

const newestFirst = (a: PlanSummary, b: PlanSummary): number => Date.parse(b.created_at) - Date.parse(a.created_at);

const loadPlans = async (path: string, signal: AbortSignal): Promise<PlanSummary[]> =>
  (await getAll<PlanSummary>(path, signal)).toSorted(newestFirst);

/** The layers, the plans of the chosen layer and the chosen plan; by default the plan in force, else the newest. */
export function usePlan(view: View): PlanChoice {
  const layers = useResource<Layer[]>("/v1/layers", getAll);
  const layer = layers.data && chooseLayer(layers.data, view.layerId);
  const plans = useResource(layer && `/v1/plans?layer_id=${layer.id}&limit=100`, loadPlans);
  const planId = view.planId ?? layer?.plan_in_force?.plan_id ?? plans.data?.[0]?.id ?? null;
  const plan = useResource<Plan>(planId === null ? null : `/v1/plans/${planId}`, getJson);
  const isEmpty = planId === null && layers.data !== null && (layer === null || plans.data !== null);
  return { layers, layer, plans, plan, planId, isEmpty };
}

export function chooseLayer(layers: readonly Layer[], wanted: number | null): Layer | null {
  return (
    layers.find((layer) => layer.id === wanted) ??
    layers.find((layer) => layer.plan_in_force !== null) ??
    layers[0] ??
    null
  );
}
