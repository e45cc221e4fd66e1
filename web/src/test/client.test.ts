import { afterEach, describe, expect, it, vi } from "vitest";

import { ApiProblem, getAll, getJson, ownAddress } from "../api/client";

function answer(...bodies: { status?: number; body: unknown }[]): ReturnType<typeof vi.fn<typeof fetch>> {
  const fake = vi.fn<typeof fetch>();
  for (const { status = 200, body } of bodies) fake.mockResolvedValueOnce(Response.json(body, { status }));
  vi.stubGlobal("fetch", fake);
  vi.stubGlobal("window", { location: { origin: "https://map.example" } });
  return fake;
}

afterEach(() => vi.unstubAllGlobals());

describe("requests", () => {
  it("follows a list to its end on our own origin", async () => {
    const next = "http://inner:8000/v1/plans?cursor=b";
    const fake = answer({ body: { items: [1, 2], links: [{ rel: "next", href: next }] } }, { body: { items: [3] } });
    await expect(getAll("/v1/plans")).resolves.toEqual([1, 2, 3]);
    expect(fake.mock.calls[1]?.[0]).toBe("https://map.example/v1/plans?cursor=b");
  });

  it("hands on what a problem says", async () => {
    answer({ status: 404, body: { title: "Not found", detail: "There is no plan 9.", trace_id: "ab12" } });
    await expect(getJson("/v1/plans/9")).rejects.toMatchObject({ status: 404, detail: "There is no plan 9.", traceId: "ab12" });
  });

  it("says so when nobody answers", async () => {
    vi.stubGlobal("fetch", vi.fn<typeof fetch>().mockRejectedValue(new TypeError("failed")));
    await expect(getJson("/v1/plans")).rejects.toBeInstanceOf(ApiProblem);
  });

  it("keeps path and query of an address and drops its host", () => {
    expect(ownAddress("http://inner/v1/tiles/a/1/2/3.mvt?plan_id=7", "https://map.example")).toBe(
      "https://map.example/v1/tiles/a/1/2/3.mvt?plan_id=7",
    );
  });
});
