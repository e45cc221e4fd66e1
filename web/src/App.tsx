import { useCallback, useState } from "react";

import { apiKey } from "./api/key";
import { SignIn } from "./panel/SignIn";
import { Workspace } from "./Workspace";

export function App() {
  const [isRefused, setIsRefused] = useState(false);
  const refuse = useCallback(() => setIsRefused(true), []);
  const open = (key: string): void => {
    apiKey.set(key);
    setIsRefused(false);
  };
  return isRefused ? <SignIn wasRefused={apiKey.get() !== null} onKey={open} /> : <Workspace onUnauthorized={refuse} />;
}
