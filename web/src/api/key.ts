const SLOT = "bailiwick.api-key";

let inMemory: string | null = null;

/** The API key lives as long as the tab. Storage can be refused (private windows), so memory is the fallback. */
export const apiKey = {
  get(): string | null {
    try {
      return inMemory ?? sessionStorage.getItem(SLOT);
    } catch {
      return inMemory;
    }
  },
  set(key: string): void {
    inMemory = key;
    try {
      sessionStorage.setItem(SLOT, key);
    } catch {
      // Memory alone will do.
    }
  },
};
