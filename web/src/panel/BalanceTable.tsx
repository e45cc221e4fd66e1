import { memo, useMemo, useState } from "react";

import type { Plan } from "../api/types";
import { balancedMeasures, barExtent, sortRows } from "../lib/balance";
import type { SortColumn, SortOrder } from "../lib/balance";
import { formatTolerance, measureTitle } from "../lib/format";
import { BalanceTableRow } from "./BalanceTableRow";

interface Props {
  plan: Plan;
  hoveredId: number | null;
  selectedId: number | null;
  onHover: (territoryId: number | null) => void;
  onPick: (territoryId: number) => void;
}

const COLUMNS: readonly { column: SortColumn; title: string; isNumber: boolean }[] = [
  { column: "code", title: "Territory", isNumber: false },
  { column: "customers", title: "Customers", isNumber: true },
  { column: "work_minutes", title: "Hours", isNumber: true },
  { column: "imbalance", title: "Imbalance", isNumber: true },
];

export const BalanceTable = memo(function BalanceTable({ plan, hoveredId, selectedId, onHover, onPick }: Props) {
  const [order, setOrder] = useState<SortOrder>({ column: "code", descending: false });
  const measures = useMemo(() => balancedMeasures(plan), [plan]);
  const [chosen, setChosen] = useState<string | null>(null);
  const measure = measures.find((name) => name === chosen) ?? measures[0] ?? "work_minutes";
  const tolerance = plan.tolerances[measure];
  const rows = useMemo(() => sortRows(plan.balance, order, measure), [plan, order, measure]);
  const extent = useMemo(() => barExtent(plan.balance, measure, tolerance), [plan, measure, tolerance]);

  const sortBy = (column: SortColumn): void =>
    setOrder((before) =>
      // Codes read from the first on; of numbers the largest are wanted first.
      before.column === column ? { column, descending: !before.descending } : { column, descending: column !== "code" },
    );

  return (
    <section className="balance" aria-label="Balance of the territories">
      <header className="balance__head">
        <h2>Balance</h2>
        {measures.length > 1 && (
          <label className="inline-field">
            <span>of</span>
            <select data-testid="balance-measure" value={measure} onChange={(event) => setChosen(event.target.value)}>
              {measures.map((name) => (
                <option key={name} value={name}>
                  {measureTitle(name).toLowerCase()}
                </option>
              ))}
            </select>
          </label>
        )}
        {tolerance !== undefined && (
          <span className="balance__band" data-testid="balance-band">
            <i className="band-swatch" aria-hidden="true" />
            allowed ±{formatTolerance(tolerance)}
          </span>
        )}
      </header>
      <div className="balance__scroll">
        <table data-testid="balance-table">
          <caption className="visually-hidden">Customers, yearly work and imbalance against target, per territory</caption>
          <thead>
            <tr>
              {COLUMNS.map(({ column, title, isNumber }) => (
                <th
                  key={column}
                  scope="col"
                  className={isNumber ? "number" : undefined}
                  aria-sort={order.column === column ? (order.descending ? "descending" : "ascending") : "none"}
                >
                  <button type="button" data-testid={`sort-${column}`} onClick={() => sortBy(column)}>
                    {title}
                  </button>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.map((row) => (
              <BalanceTableRow
                key={row.territory_id}
                row={row}
                imbalance={row.imbalance[measure] ?? null}
                tolerance={tolerance}
                extent={extent}
                isHovered={row.territory_id === hoveredId}
                isSelected={row.territory_id === selectedId}
                onHover={onHover}
                onPick={onPick}
              />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
});
