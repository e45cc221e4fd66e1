import type { PlanState } from "../api/types";

/** "Published" may also mean next month; the plan that counts today says so. */
export function StateBadge({ state, isInForce }: { state: PlanState; isInForce: boolean }) {
  return <span className={`badge badge--${state}`}>{isInForce ? "in force" : state}</span>;
}
