import type { Heatmap, Measure } from "../api/types";
import { formatHeat, HEAT_TITLES } from "../lib/format";
import { CLASS_OUTLINE, CLASS_STYLES } from "../lib/palette";
import type { HeatScale } from "../map/heatLayer";
import { DETAIL_ZOOM, HEAT_OPACITY } from "../map/ids";

interface Props {
  measure: Measure | null;
  heat: Heatmap | null;
  scale: HeatScale | null;
  showCustomers: boolean;
  zoom: number;
}

export function Legend({ measure, heat, scale, showCustomers, zoom }: Props) {
  if (!showCustomers && measure === null) return null;
  return (
    <section className="card legend" data-testid="legend" aria-label="Legend">
      {measure !== null && heat && scale && <HeatLegend measure={measure} heat={heat} scale={scale} />}
      {showCustomers && (zoom >= DETAIL_ZOOM ? <ClassLegend /> : <BubbleLegend />)}
    </section>
  );
}

function HeatLegend({ measure, heat, scale }: { measure: Measure; heat: Heatmap; scale: HeatScale }) {
  if (heat.features.length === 0) return <p className="legend__empty">No customers in this view.</p>;
  // A density has no meaningful sum.
  const hasTotal = measure !== "density" && typeof heat.total === "number";
  return (
    <div>
      <h3>{HEAT_TITLES[measure]}</h3>
      <ol className="ramp" data-testid="heat-legend">
        {scale.colours.map((colour, i) => (
          <li key={colour}>
            <i style={{ background: colour, opacity: HEAT_OPACITY }} aria-hidden="true" />
            <span>
              <span className="visually-hidden">{i === 0 ? "below the first boundary" : "from "}</span>
              {i > 0 && formatHeat(measure, scale.breaks[i - 1] ?? 0)}
            </span>
          </li>
        ))}
      </ol>
      {hasTotal && <p className="legend__total">{formatHeat(measure, heat.total ?? 0)} in view</p>}
    </div>
  );
}

function ClassLegend() {
  return (
    <div>
      <h3>Customers by class</h3>
      <ul className="classes">
        {CLASS_STYLES.map(({ name, colour, radius }) => (
          <li key={name}>
            <i style={{ background: colour, borderColor: CLASS_OUTLINE, width: radius * 2, height: radius * 2 }} aria-hidden="true" />
            {name}
          </li>
        ))}
      </ul>
    </div>
  );
}

function BubbleLegend() {
  return (
    <p className="legend__bubble">
      <i aria-hidden="true" /> Customers, sized by number
    </p>
  );
}
