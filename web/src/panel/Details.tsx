import type { ReactNode } from "react";

import { getJson } from "../api/client";
import type { BalanceRow, Customer, Page, Plan, TerritoryAt } from "../api/types";
import { balancedMeasures } from "../lib/balance";
import { formatCount, formatDate, formatHours, formatImbalance, measureTitle, orUntold } from "../lib/format";
import { useResource } from "../state/useResource";

export type Selection = { planId: number; id: number } & (
  | { kind: "territory" }
  | { kind: "customer"; territoryId: number | null }
);

interface Props {
  selection: Selection;
  plan: Plan;
  isInForce: boolean;
  onClose: () => void;
}

export function Details({ selection, plan, isInForce, onClose }: Props) {
  const territoryId = selection.kind === "territory" ? selection.id : selection.territoryId;
  const row = plan.balance.find((candidate) => candidate.territory_id === territoryId) ?? null;
  return (
    <section className="card details" data-testid="details" aria-label="Details" aria-live="polite">
      <button type="button" className="details__close" data-testid="details-close" aria-label="Close details" onClick={onClose}>
        ×
      </button>
      {selection.kind === "customer" ? (
        <CustomerDetails id={selection.id} layerId={plan.layer_id} draftRow={isInForce ? null : row} />
      ) : (
        row && <TerritoryDetails row={row} plan={plan} />
      )}
    </section>
  );
}

function TerritoryDetails({ row, plan }: { row: BalanceRow; plan: Plan }) {
  return (
    <>
      <Heading over="Territory" title={row.name === row.code ? row.code : `${row.code} ${row.name}`} />
      <dl>
        <Line term="Representative">{row.rep?.name ?? "none assigned"}</Line>
        <Line term="Customers">{orUntold(row.customers, formatCount)}</Line>
        <Line term="Work a year">{orUntold(row.work_minutes, formatHours)}</Line>
        <Line term="Target">{orUntold(row.target_work_minutes, formatHours)}</Line>
        {balancedMeasures(plan).map((measure) => (
          <Line key={measure} term={`${measureTitle(measure)} imbalance`}>
            {orUntold(row.imbalance[measure], formatImbalance)}
          </Line>
        ))}
        {row.components > 1 && <Line term="Pieces">{row.components}</Line>}
      </dl>
    </>
  );
}

function CustomerDetails({ id, layerId, draftRow }: { id: number; layerId: number; draftRow: BalanceRow | null }) {
  const { data: customer, problem } = useResource<Customer>(`/v1/customers/${id}`, getJson);
  const at = customer && `/v1/territories/at?lon=${customer.lon}&lat=${customer.lat}&layer=${layerId}`;
  const inForce = useResource<Page<TerritoryAt>>(at, getJson);
  if (problem) return <Heading over="Customer" title={problem.detail} />;
  if (!customer) return <Heading over="Customer" title="Loading…" />;
  const [found] = inForce.data?.items ?? [];
  return (
    <>
      <Heading over={`Customer ${customer.external_id}`} title={customer.name} />
      <dl>
        <Line term="Class">{customer.class || "none"}</Line>
        <Line term="Segment">{customer.segment || "none"}</Line>
        <Line term="Status">{customer.status}</Line>
        <Line term="Work a year">{formatHours(customer.work_minutes)}</Line>
        <Line term="Last visit">{formatDate(customer.last_visit_at)}</Line>
        {draftRow && <Line term="In this plan">{draftRow.code}</Line>}
        <Line term={draftRow ? "In force" : "Territory"}>
          {inForce.isLoading ? "…" : found ? territoryText(found) : (inForce.problem?.detail ?? "none")}
        </Line>
      </dl>
    </>
  );
}

function territoryText({ territory, rep }: TerritoryAt): string {
  return rep ? `${territory.code}, ${rep.name}` : territory.code;
}

function Heading({ over, title }: { over: string; title: string }) {
  return (
    <h2>
      <small>{over}</small>
      {title}
    </h2>
  );
}

function Line({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div>
      <dt>{term}</dt>
      <dd>{children}</dd>
    </div>
  );
}
