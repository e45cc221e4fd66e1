import type { Measure } from "../api/types";
import { measureTitle } from "../lib/format";
import { MEASURES } from "../lib/hash";

interface Props {
  measure: Measure | null;
  showCustomers: boolean;
  isLoading: boolean;
  onMeasure: (measure: Measure | null) => void;
  onCustomers: (areShown: boolean) => void;
}

export function MapControls({ measure, showCustomers, isLoading, onMeasure, onCustomers }: Props) {
  return (
    <fieldset className="card controls">
      <legend className="visually-hidden">What the map shows</legend>
      <label className="switch">
        <input
          type="checkbox"
          role="switch"
          data-testid="customers-switch"
          checked={showCustomers}
          onChange={(event) => onCustomers(event.target.checked)}
        />
        Customers
      </label>
      <label className="switch">
        <input
          type="checkbox"
          role="switch"
          data-testid="heat-switch"
          checked={measure !== null}
          onChange={(event) => onMeasure(event.target.checked ? "customers" : null)}
        />
        Heat
      </label>
      {measure !== null && (
        <select
          data-testid="heat-measure"
          aria-label="Heat measure"
          value={measure}
          onChange={(event) => onMeasure(event.target.value as Measure)}
        >
          {MEASURES.map((option) => (
            <option key={option} value={option}>
              {measureTitle(option)}
            </option>
          ))}
        </select>
      )}
      {isLoading && <output className="spinner" aria-label="Loading heat" />}
    </fieldset>
  );
}
