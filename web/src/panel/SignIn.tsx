import { useState } from "react";

/** Asks for an API key. It stays in this tab only. */
export function SignIn({ wasRefused, onKey }: { wasRefused: boolean; onKey: (key: string) => void }) {
  const [key, setKey] = useState("");
  return (
    <main className="sign-in">
      <form
        className="sign-in__card"
        data-testid="sign-in"
        onSubmit={(event) => {
          event.preventDefault();
          if (key.trim()) onKey(key.trim());
        }}
      >
        <h1>Bailiwick</h1>
        <p>This service asks for an API key. It is kept in this tab and sent to this service only.</p>
        <label className="field">
          <span className="field__label">API key</span>
          <input
            type="password"
            data-testid="api-key"
            autoComplete="off"
            spellCheck={false}
            value={key}
            aria-describedby={wasRefused ? "key-refused" : undefined}
            aria-invalid={wasRefused}
            onChange={(event) => setKey(event.target.value)}
          />
        </label>
        {wasRefused && (
          <p className="sign-in__refused" id="key-refused" role="alert">
            The service did not accept that key.
          </p>
        )}
        <button type="submit" className="button button--primary">
          Open the map
        </button>
        <p className="sign-in__hint">
          An administrator makes one with <code>bailiwick keys create</code>.
        </p>
      </form>
    </main>
  );
}
