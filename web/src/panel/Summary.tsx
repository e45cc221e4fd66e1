import type { Island, Plan } from "../api/types";
import { balancedMeasures, isOutside } from "../lib/balance";
import { formatPercent, formatTolerance, measureTitle, orUntold, plural } from "../lib/format";

/** The plan in one line of facts, then whatever a planner must not overlook. */
export function Summary({ plan }: { plan: Plan }) {
  const inPieces = plan.balance.filter((row) => row.components > 1);
  return (
    <section className="summary" data-testid="summary" aria-label="Plan summary">
      <dl className="facts">
        <Fact term={plan.n_territories === 1 ? "Territory" : "Territories"} value={String(plan.n_territories)} />
        <MaxImbalance plan={plan} />
        <Fact
          term="Contiguity"
          value={inPieces.length === 0 ? "All" : `${inPieces.length} split`}
          note={inPieces.length === 0 ? "in one piece" : inPieces.map((row) => row.code).join(", ")}
          isBad={inPieces.length > 0}
        />
        {typeof plan.gap === "number" && <Fact term="Gap" value={formatPercent(plan.gap)} note="to the bound" />}
      </dl>
      <Notes plan={plan} />
    </section>
  );
}

function MaxImbalance({ plan }: { plan: Plan }) {
  const [measure] = balancedMeasures(plan);
  const worst = measure === undefined ? undefined : plan.max_imbalance[measure];
  if (measure === undefined || worst === undefined) return null;
  const tolerance = plan.tolerances[measure];
  return (
    <Fact
      term="Max. imbalance"
      value={formatPercent(Math.abs(worst))}
      note={`${measureTitle(measure).toLowerCase()}${tolerance === undefined ? "" : `, limit ${formatTolerance(tolerance)}`}`}
      isBad={isOutside(worst, tolerance)}
    />
  );
}

function Fact({ term, value, note, isBad = false }: { term: string; value: string; note?: string; isBad?: boolean }) {
  return (
    <div className="fact">
      <dt>{term}</dt>
      <dd>
        <span className={isBad ? "fact__value fact__value--bad" : "fact__value"}>{value}</span>
        {note && <span className="fact__note">{note}</span>}
      </dd>
    </div>
  );
}

function Notes({ plan }: { plan: Plan }) {
  const notes = [
    ...(plan.is_feasible || plan.violations.length > 0 ? [] : ["This plan does not meet all its rules."]),
    ...plan.violations.map((violation) => violation.message),
  ];
  const islands = plan.components.filter((island) => island.left_out);
  if (notes.length === 0 && islands.length === 0) return null;
  return (
    <ul className="notes" data-testid="plan-notes">
      {notes.map((note) => (
        <li key={note}>{note}</li>
      ))}
      {islands.length > 0 && (
        <li>
          <LeftOut islands={islands} />
        </li>
      )}
    </ul>
  );
}

/** Islands too small for a territory: their sum at a glance, each of them on request. */
function LeftOut({ islands }: { islands: Island[] }) {
  const told = islands.map((island) => island.work_share).filter((share) => share !== null);
  const share = told.length < islands.length ? null : told.reduce((sum, part) => sum + part, 0);
  const what = islands.length === 1 ? "1 separate piece" : `${islands.length} separate pieces`;
  return (
    <details>
      <summary>
        {what} with {orUntold(share, formatPercent)} of the work {islands.length === 1 ? "is" : "are"} left out
      </summary>
      <ol className="notes__pieces">
        {islands.map((island) => (
          <li key={island.place.join()}>{leftOut(island)}</li>
        ))}
      </ol>
    </details>
  );
}

function leftOut({ n_cells, customers, work_share, reason }: Island): string {
  const who = customers === null ? "few customers" : plural(customers, "customer");
  const what = `${plural(n_cells, "cell")}, ${who}, ${orUntold(work_share, formatPercent)} of the work`;
  return reason ? `${what}: ${reason}` : what;
}
