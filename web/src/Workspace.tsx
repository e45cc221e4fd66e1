import { useCallback, useEffect, useMemo, useState } from "react";

import type { ApiProblem } from "./api/client";
import type { Bbox, Measure } from "./api/types";
import type { View } from "./lib/hash";
import type { Pointed } from "./map/features";
import { heatScale } from "./map/heatLayer";
import { MapView } from "./map/MapView";
import { Details } from "./panel/Details";
import type { Selection } from "./panel/Details";
import { Legend } from "./panel/Legend";
import { MapControls } from "./panel/MapControls";
import { ProblemNotice } from "./panel/Notices";
import { Panel } from "./panel/Panel";
import { useHeat } from "./state/useHeat";
import type { Viewport } from "./state/useHeat";
import { usePlan } from "./state/usePlan";
import { useView } from "./state/useView";

export function Workspace({ onUnauthorized }: { onUnauthorized: () => void }) {
  const [view, changeView] = useView();
  const choice = usePlan(view);
  const plan = choice.plan.data;
  const [viewport, setViewport] = useState<Viewport | null>(null);
  const heat = useHeat(view.heat, viewport);
  const scale = useMemo(() => heat.data && heatScale(heat.data), [heat.data]);

  const [hoveredId, setHoveredId] = useState<number | null>(null);
  const [marked, setSelection] = useState<Selection | null>(null);
  const [focus, setFocus] = useState<{ bbox: Bbox } | null>(null);
  const [mapProblem, setMapProblem] = useState<ApiProblem | null>(null);
  // Territory ids belong to one plan: what was selected in another is not selected here.
  const selection = plan && marked?.planId === plan.id ? marked : null;
  const selectedId = selection?.kind === "territory" ? selection.id : null;

  const problems = [choice.layers.problem, choice.plans.problem, choice.plan.problem, heat.problem, mapProblem];
  const isRefused = problems.some((problem) => problem?.status === 401);
  useEffect(() => {
    if (isRefused) onUnauthorized();
  }, [isRefused, onUnauthorized]);

  // A link may name a plan alone; the layer then follows it.
  useEffect(() => {
    if (plan && choice.layer && plan.layer_id !== choice.layer.id) changeView({ layerId: plan.layer_id });
  }, [plan, choice.layer, changeView]);

  const pickRow = useCallback(
    (territoryId: number) => {
      const row = plan?.balance.find((candidate) => candidate.territory_id === territoryId);
      if (!plan || !row) return;
      setSelection({ kind: "territory", id: territoryId, planId: plan.id });
      setFocus({ bbox: row.bbox });
    },
    [plan],
  );
  const pickOnMap = useCallback((pointed: Pointed) => setSelection(plan && selectionOf(pointed, plan.id)), [plan]);

  useEffect(() => {
    document.title = plan ? `${plan.name} · Bailiwick` : "Bailiwick";
  }, [plan]);

  useEffect(() => {
    const closeOnEscape = (event: KeyboardEvent): void => {
      if (event.key === "Escape") setSelection(null);
    };
    document.addEventListener("keydown", closeOnEscape);
    return () => document.removeEventListener("keydown", closeOnEscape);
  }, []);

  const isBusy =
    choice.layers.isLoading || choice.plans.isLoading || choice.plan.isLoading || heat.isLoading || (view.heat !== null && viewport === null);

  return (
    <div className="workspace">
      <Panel
        choice={choice}
        hoveredId={hoveredId}
        selectedId={selectedId}
        onLayer={(layerId) => changeView({ layerId, planId: null })}
        onPlan={(planId) => changeView({ planId })}
        onDefaultPlan={() => changeView({ planId: null })}
        onHover={setHoveredId}
        onPick={pickRow}
      />
      <main className="stage">
        <MapView
          plan={plan}
          measure={view.heat}
          heat={heat.data}
          scale={scale}
          showCustomers={view.customers}
          hoveredId={hoveredId}
          selectedId={selectedId}
          selectedCustomerId={selection?.kind === "customer" ? selection.id : null}
          focus={focus}
          isBusy={isBusy}
          onHover={setHoveredId}
          onClick={pickOnMap}
          onViewport={setViewport}
          onProblem={setMapProblem}
        />
        <MapControls
          measure={view.heat}
          showCustomers={view.customers}
          isLoading={heat.isLoading}
          onMeasure={(heatMeasure) => changeView(heatChange(view.heat, heatMeasure))}
          onCustomers={(customers) => changeView({ customers })}
        />
        <div className="stage__corner">
          {heat.problem && <ProblemNotice problem={heat.problem} onRetry={heat.reload} />}
          {mapProblem && <ProblemNotice problem={mapProblem} onRetry={() => setMapProblem(null)} retryLabel="Dismiss" />}
          {plan && selection && (
            <Details
              selection={selection}
              plan={plan}
              isInForce={choice.layer?.plan_in_force?.plan_id === plan.id}
              onClose={() => setSelection(null)}
            />
          )}
        </div>
        <Legend measure={view.heat} heat={heat.data} scale={scale} showCustomers={view.customers && plan !== null} zoom={viewport?.zoom ?? 0} />
      </main>
    </div>
  );
}

/** Heat and bubbles say the same in two ways: switching one on takes the other off, until it is asked for. */
function heatChange(before: Measure | null, heat: Measure | null): Partial<View> {
  return (before === null) === (heat === null) ? { heat } : { heat, customers: heat === null };
}

function selectionOf({ customer, territoryId }: Pointed, planId: number): Selection | null {
  if (customer) return { kind: "customer", id: customer.id, territoryId, planId };
  return territoryId === null ? null : { kind: "territory", id: territoryId, planId };
}
