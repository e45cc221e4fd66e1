import { apiKey } from "./key";
import type { Page } from "./types";

/** An RFC 9457 problem, or the nearest thing to one when the server could not be reached. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly traceId: string | null,
  ) {
    super(`${status} ${title}: ${detail}`);
    this.name = "ApiProblem";
  }
}

async function problemOf(response: Response): Promise<ApiProblem> {
  const body: unknown = await response.json().catch(() => null);
  const field = (name: string): string | null => {
    const value = body && typeof body === "object" ? (body as Record<string, unknown>)[name] : null;
    return typeof value === "string" ? value : null;
  };
  return new ApiProblem(
    response.status,
    field("title") ?? (response.statusText || "Request failed"),
    field("detail") ?? `The service answered ${response.status}.`,
    field("trace_id"),
  );
}

export async function getJson<T>(path: string, signal?: AbortSignal): Promise<T> {
  const key = apiKey.get();
  const headers: Record<string, string> = { Accept: "application/json, application/problem+json" };
  if (key) headers.Authorization = `Bearer ${key}`;
  const response = await fetch(path, { headers, ...(signal ? { signal } : {}) }).catch((cause: unknown) => {
    if (signal?.aborted) throw cause;
    throw new ApiProblem(0, "Service not reachable", "The Bailiwick service did not answer.", null);
  });
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as T;
}

/** All items of a list, following `links[rel=next]`. */
export async function getAll<T>(path: string, signal?: AbortSignal): Promise<T[]> {
  const page = await getJson<Page<T>>(path, signal);
  const next = page.links?.find((link) => link.rel === "next");
  return next ? [...page.items, ...(await getAll<T>(ownAddress(next.href), signal))] : page.items;
}

/**
 * The same path on the origin the page came from. Behind a proxy the service may write a host the browser
 * cannot reach, and the API key must go nowhere but to our own origin.
 */
export function ownAddress(address: string, origin: string = window.location.origin): string {
  const url = new URL(address, origin);
  return origin + url.pathname + url.search;
}
