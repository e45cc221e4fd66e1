import { getJson } from "../api/client";
import type { PlanChoice } from "../state/usePlan";
import { useResource } from "../state/useResource";
import { BalanceTable } from "./BalanceTable";
import { LayerPicker } from "./LayerPicker";
import { Loading, NoPlan, ProblemNotice } from "./Notices";
import { PlanPicker } from "./PlanPicker";
import { Summary } from "./Summary";

interface Props {
  choice: PlanChoice;
  hoveredId: number | null;
  selectedId: number | null;
  onLayer: (layerId: number) => void;
  onPlan: (planId: number) => void;
  onDefaultPlan: () => void;
  onHover: (territoryId: number | null) => void;
  onPick: (territoryId: number) => void;
}

export function Panel({ choice, hoveredId, selectedId, onLayer, onPlan, onDefaultPlan, onHover, onPick }: Props) {
  const { layers, layer, plans, plan, planId } = choice;
  // One cause mostly fails them all: say it once.
  const failed = [layers, plans, plan].filter((resource) => resource.problem !== null);
  const problem = failed[0]?.problem ?? null;
  const reloadAll = (): void => {
    layers.reload();
    plans.reload();
  };
  return (
    <aside className="panel" aria-label="Plan and balance">
      <header className="panel__head">
        <h1>Bailiwick</h1>
        <Version />
        {layers.data && layer && <LayerPicker layers={layers.data} layer={layer} onPick={onLayer} />}
      </header>
      {layers.isLoading && <Loading>Loading layers…</Loading>}
      {layer && plans.data && plans.data.length > 0 && (
        <PlanPicker layer={layer} plans={plans.data} planId={planId} onPick={onPlan} />
      )}
      {choice.isEmpty && <NoPlan hasLayer={layer !== null} onRetry={reloadAll} />}
      {plan.isLoading && <Loading>Loading plan…</Loading>}
      {plan.problem?.status === 404 ? (
        <ProblemNotice problem={plan.problem} onRetry={onDefaultPlan} retryLabel="Show the current plan" />
      ) : (
        problem && <ProblemNotice problem={problem} onRetry={() => failed.forEach(({ reload }) => reload())} />
      )}
      {plan.data && (
        <>
          <Summary plan={plan.data} />
          <BalanceTable plan={plan.data} hoveredId={hoveredId} selectedId={selectedId} onHover={onHover} onPick={onPick} />
        </>
      )}
    </aside>
  );
}

function Version() {
  const { data } = useResource<{ version: string }>("/version", getJson);
  return data && <span className="panel__version">{data.version}</span>;
}
