import { useCallback, useEffect, useState } from "react";

import { ApiProblem } from "../api/client";

export interface Resource<T> {
  data: T | null;
  problem: ApiProblem | null;
  isLoading: boolean;
  reload: () => void;
}

interface Answer<T> {
  key: string;
  attempt: number;
  data: T | null;
  problem: ApiProblem | null;
}

/**
 * What `load` answers for `key`; a null key asks for nothing. The answer to an earlier key is never shown for a later
 * one. `load` must depend on its arguments only.
 */
export function useResource<T>(key: string | null, load: (key: string, signal: AbortSignal) => Promise<T>): Resource<T> {
  const [answer, setAnswer] = useState<Answer<T> | null>(null);
  const [attempt, setAttempt] = useState(0);

  useEffect(() => {
    if (key === null) return undefined;
    const aborter = new AbortController();
    load(key, aborter.signal).then(
      (data) => !aborter.signal.aborted && setAnswer({ key, attempt, data, problem: null }),
      (cause: unknown) => !aborter.signal.aborted && setAnswer({ key, attempt, data: null, problem: asProblem(cause) }),
    );
    return () => aborter.abort();
  }, [key, load, attempt]);

  const reload = useCallback(() => setAttempt((n) => n + 1), []);

  const current = answer?.key === key && answer.attempt === attempt ? answer : null;
  return {
    data: current?.data ?? null,
    problem: current?.problem ?? null,
    isLoading: key !== null && current === null,
    reload,
  };
}

export function asProblem(cause: unknown): ApiProblem {
  if (cause instanceof ApiProblem) return cause;
  return new ApiProblem(0, "Unexpected answer", cause instanceof Error ? cause.message : String(cause), null);
}
