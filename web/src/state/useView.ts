import { useCallback, useEffect, useState } from "react";

import { formatHash, parseHash } from "../lib/hash";
import type { View } from "../lib/hash";

/** The choices a link carries, kept in the address; replaced rather than pushed, so that "back" leaves the page. */
export function useView(): [View, (change: Partial<View>) => void] {
  const [view, setView] = useState(() => parseHash(location.hash));

  useEffect(() => {
    const follow = (): void => setView(parseHash(location.hash));
    window.addEventListener("hashchange", follow);
    return () => window.removeEventListener("hashchange", follow);
  }, []);

  useEffect(() => {
    history.replaceState(null, "", location.pathname + location.search + formatHash(view));
  }, [view]);

  const change = useCallback((part: Partial<View>) => setView((before) => ({ ...before, ...part })), []);
  return [view, change];
}
