import { Fragment, useState } from "react";
import type { ReactNode } from "react";

import type { ApiProblem } from "../api/client";

export function ProblemNotice({ problem, onRetry, retryLabel = "Try again" }: { problem: ApiProblem; onRetry: () => void; retryLabel?: string }) {
  return (
    <div className="notice notice--problem" role="alert" data-testid="problem">
      <strong>{problem.title}</strong>
      <p>{problem.detail}</p>
      {problem.traceId && (
        <p className="notice__trace">
          Trace <code>{problem.traceId}</code>
        </p>
      )}
      <button type="button" className="button" onClick={onRetry}>
        {retryLabel}
      </button>
    </div>
  );
}

export function Loading({ children }: { children: ReactNode }) {
  return (
    <output className="loading" data-testid="loading">
      {children}
    </output>
  );
}

const DESIGN_COMMAND = "bailiwick design --territories 24 --publish";

export function NoPlan({ hasLayer, onRetry }: { hasLayer: boolean; onRetry: () => void }) {
  const [isCopied, setIsCopied] = useState(false);
  const copy = (): void => {
    // Refused outside secure contexts; the command can still be selected by hand.
    void navigator.clipboard?.writeText(DESIGN_COMMAND).then(() => setIsCopied(true));
  };
  return (
    <section className="empty" data-testid="no-plan">
      <h2>{hasLayer ? "No plan yet" : "No layer yet"}</h2>
      <p>Import customers, then design territories and put them in force with one command:</p>
      <div className="command">
        <code>
          {DESIGN_COMMAND.split(/ (?=--)/).map((part) => (
            <Fragment key={part}>
              <span>{part}</span>{" "}
            </Fragment>
          ))}
        </code>
        <button type="button" className="button button--quiet" onClick={copy}>
          {isCopied ? "Copied" : "Copy"}
        </button>
      </div>
      <button type="button" className="button" data-testid="look-again" onClick={onRetry}>
        Look again
      </button>
    </section>
  );
}
