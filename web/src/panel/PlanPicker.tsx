import { useEffect, useId, useRef, useState } from "react";

import type { Layer, PlanSummary } from "../api/types";
import { formatDateTime, plural } from "../lib/format";
import { StateBadge } from "./StateBadge";

interface Props {
  layer: Layer;
  plans: readonly PlanSummary[];
  planId: number | null;
  onPick: (planId: number) => void;
}

/** A button with the plan on show, opening the list of the layer's plans. */
export function PlanPicker({ layer, plans, planId, onPick }: Props) {
  const [isOpen, setIsOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const listId = useId();
  const shown = plans.find((plan) => plan.id === planId);

  useEffect(() => {
    if (!isOpen) return undefined;
    const closeOutside = (event: Event): void => {
      if (event.target instanceof Node && !root.current?.contains(event.target)) setIsOpen(false);
    };
    // Captured, so that the same key does not close the details card as well.
    const closeOnEscape = (event: KeyboardEvent): void => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      setIsOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", closeOutside);
    document.addEventListener("focusin", closeOutside);
    document.addEventListener("keydown", closeOnEscape, { capture: true });
    return () => {
      document.removeEventListener("keydown", closeOnEscape, { capture: true });
      document.removeEventListener("pointerdown", closeOutside);
      document.removeEventListener("focusin", closeOutside);
    };
  }, [isOpen]);

  return (
    <div className="picker" ref={root} data-testid="plan-picker">
      <button
        ref={button}
        type="button"
        className="picker__button"
        data-testid="plan-picker-button"
        aria-expanded={isOpen}
        aria-controls={listId}
        onClick={() => setIsOpen(!isOpen)}
      >
        <span className="visually-hidden">Plan: </span>
        {shown ? <PlanLine plan={shown} isInForce={shown.id === layer.plan_in_force?.plan_id} /> : "Choose a plan"}
      </button>
      <ul className="picker__list" id={listId} hidden={!isOpen} aria-label="Plans of this layer">
        {plans.map((plan) => (
          <li key={plan.id}>
            <button
              type="button"
              className="picker__option"
              data-testid={`plan-option-${plan.id}`}
              aria-current={plan.id === planId}
              onClick={() => {
                onPick(plan.id);
                setIsOpen(false);
                button.current?.focus();
              }}
            >
              <PlanLine plan={plan} isInForce={plan.id === layer.plan_in_force?.plan_id} />
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}

function PlanLine({ plan, isInForce }: { plan: PlanSummary; isInForce: boolean }) {
  return (
    <span className="plan-line">
      <span className="plan-line__name">{plan.name}</span>
      <StateBadge state={plan.state} isInForce={isInForce} />
      <span className="plan-line__facts">
        {formatDateTime(plan.created_at)} · {plural(plan.n_territories, "territory", "territories")}
      </span>
    </span>
  );
}
