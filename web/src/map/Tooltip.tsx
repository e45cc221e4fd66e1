import type { BalanceRow, Measure, Plan } from "../api/types";
import { formatCount, formatHeat, formatHours, formatImbalance, HEAT_TITLES, orUntold, plural } from "../lib/format";
import type { Pointer } from "./usePointer";

export function Tooltip({ pointer, plan, measure }: { pointer: Pointer; plan: Plan | null; measure: Measure | null }) {
  const territory = plan?.balance.find((row) => row.territory_id === pointer.territoryId) ?? null;
  const hasHeat = measure !== null && pointer.heat !== null;
  if (!territory && !pointer.customer && !pointer.bubble && !hasHeat) return null;
  const side = `${pointer.isRight ? " tooltip--left" : ""}${pointer.isLow ? " tooltip--up" : ""}`;
  return (
    <div className={`tooltip${side}`} style={{ left: pointer.x, top: pointer.y }} aria-hidden="true">
      {pointer.customer && <CustomerLines customer={pointer.customer} />}
      {pointer.bubble && (
        <p>
          <strong>{plural(pointer.bubble.n, "customer")}</strong> here · {formatHours(pointer.bubble.workMinutes)}
        </p>
      )}
      {hasHeat && (
        <p>
          {HEAT_TITLES[measure]}: <strong>{formatHeat(measure, pointer.heat ?? 0)}</strong>
        </p>
      )}
      {territory && <TerritoryLines row={territory} isBrief={pointer.customer !== null || pointer.bubble !== null || hasHeat} />}
    </div>
  );
}

function CustomerLines({ customer }: { customer: NonNullable<Pointer["customer"]> }) {
  const facts = [customer.class && `class ${customer.class}`, customer.segment, customer.status].filter(Boolean);
  return (
    <p>
      <strong>{customer.name}</strong>
      <br />
      {facts.join(" · ")}
    </p>
  );
}

function TerritoryLines({ row, isBrief }: { row: BalanceRow; isBrief: boolean }) {
  if (isBrief) {
    return (
      <p className="tooltip__aside">
        {row.code} {row.name !== row.code && row.name}
      </p>
    );
  }
  return (
    <p>
      <strong>{row.code}</strong> {row.name !== row.code && row.name}
      <br />
      {row.rep?.name ?? "No representative"}
      <br />
      {orUntold(row.customers, formatCount)} customers · {orUntold(row.work_minutes, formatHours)} ·{" "}
      {orUntold(row.imbalance.work_minutes, formatImbalance)}
    </p>
  );
}
