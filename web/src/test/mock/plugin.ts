import type { IncomingMessage, ServerResponse } from "node:http";
import type { Connect, Plugin } from "vite";

import type { Layer, PlanSummary } from "../../api/types";
import { heatmap, makeTiles } from "./tiles.ts";
import { makeWorld } from "./world.ts";
import type { MockWorld } from "./world.ts";

/** `BAILIWICK_MOCK`: `empty` has no plan, `locked` wants the key "secret", `broken` fails at plans, `slow` takes 3 s. */
const SCENARIO = process.env.BAILIWICK_MOCK ?? "";

const POLICY =
  "default-src 'self'; img-src 'self' data: blob:; worker-src 'self'; style-src 'self'; script-src 'self'; object-src 'none'; base-uri 'none'";

class Problem extends Error {
  constructor(readonly status: number, readonly title: string, detail: string) {
    super(detail);
  }
}

/** Answers the API's read routes from made-up data, so that the page can be worked on without a database. */
export function mockApi(): Plugin {
  const answer = makeAnswers();
  const middleware: Connect.NextHandleFunction = (request, response, next) => {
    const url = new URL(request.url ?? "/", `http://${request.headers.host ?? "localhost"}`);
    if (!/^\/(v1\/|version$)/.test(url.pathname)) return next();
    setTimeout(() => send(request, response, url, answer), SCENARIO === "slow" ? 3000 : 0);
  };
  return {
    name: "bailiwick-mock-api",
    configureServer: ({ middlewares }) => void middlewares.use(middleware),
    configurePreviewServer: ({ middlewares }) => {
      middlewares.use((_request, response, next) => {
        response.setHeader("Content-Security-Policy", POLICY);
        next();
      });
      middlewares.use(middleware);
    },
  };
}

function send(request: IncomingMessage, response: ServerResponse, url: URL, answer: (url: URL) => unknown): void {
  try {
    if (SCENARIO === "locked" && url.pathname !== "/version" && request.headers.authorization !== "Bearer secret") {
      throw new Problem(401, "Unauthorized", "Send an API key.");
    }
    const body = answer(url);
    const isTile = body instanceof Uint8Array;
    response.setHeader("Content-Type", isTile ? "application/vnd.mapbox-vector-tile" : "application/json");
    response.end(isTile ? body : JSON.stringify(body));
  } catch (cause) {
    const problem = cause instanceof Problem ? cause : new Problem(500, "Internal error", String(cause));
    const { status, title, message: detail } = problem;
    response.statusCode = status;
    response.setHeader("Content-Type", "application/problem+json");
    response.end(JSON.stringify({ type: "about:blank", title, status, detail, errors: [], trace_id: "4bf92f3577b34da6" }));
  }
}

function makeAnswers(): (url: URL) => unknown {
  const worlds = new Map<number, MockWorld>([
    [7, makeWorld(24, 12_000, 1)],
    [8, makeWorld(24, 12_000, 5)],
  ]);
  const tiles = new Map([...worlds].map(([id, world]) => [id, makeTiles(world)]));
  const summaries = [...worlds].map(([id, world]) => summary(id, world));
  const layers: Layer[] = [
    { id: 1, name: "field-sales", title: "Field sales", plan_in_force: { plan_id: 7, publication_id: 3, effective_from: "2026-09-01T00:00:00Z" } },
    { id: 2, name: "service", title: "Service engineers", plan_in_force: null },
  ];
  const planWorld = (id: number): MockWorld => {
    const world = worlds.get(id);
    if (!world) throw new Problem(404, "Not found", `There is no plan ${id}.`);
    return world;
  };

  return (url) => {
    const [, , subject = "", id = "", ...rest] = url.pathname.split("/");
    const query = url.searchParams;
    if (url.pathname === "/version") return { version: "0.1.0" };
    switch (subject) {
      case "layers":
        return { items: SCENARIO === "empty" ? layers.slice(1) : layers, links: [] };
      case "plans":
        if (SCENARIO === "broken") throw new Problem(503, "Database busy", "The database did not answer within 5 s.");
        if (id) return { ...summary(Number(id), planWorld(Number(id))), balance: planWorld(Number(id)).rows, components: islands };
        return { items: query.get("layer_id") === "1" ? summaries : [], links: [] };
      case "tiles": {
        const planId = Number(query.get("plan_id"));
        if (id.endsWith(".json")) return tileJson(url, id.replace(".json", ""), planWorld(planId));
        const [z, x, y] = rest.map((part) => Number.parseInt(part, 10));
        return tiles.get(planId)?.(id, z ?? 0, x ?? 0, y ?? 0);
      }
      case "customers":
        return planWorld(7).customers.find((customer) => customer.id === Number(id));
      case "territories": {
        const row = planWorld(7).rows[0];
        return { items: row ? [{ layer_id: 1, plan_id: 7, territory: { id: row.territory_id, code: row.code, name: row.name }, rep: row.rep }] : [] };
      }
      case "heatmap":
        return heatmap(planWorld(7), (query.get("bbox") ?? "").split(",").map(Number), Number(query.get("zoom")), query.get("measure") ?? "");
      default:
        throw new Problem(404, "Not found", `There is nothing at ${url.pathname}.`);
    }
  };
}

const islands = [
  { n_cells: 9_731, work_share: 0.998, n_territories: 24, left_out: false, reason: null },
  { n_cells: 14, work_share: 0.002, n_territories: 0, left_out: true, reason: "less work than half a territory." },
];

function summary(id: number, { rows, bbox }: MockWorld): PlanSummary & { gap: number } {
  const worst = (measure: string): number => Math.max(...rows.map((row) => Math.abs(row.imbalance[measure] ?? 0)));
  return {
    id,
    layer_id: 1,
    name: id === 7 ? "Autumn 2026" : "Autumn 2026, fewer long drives in the north",
    state: id === 7 ? "published" : "draft",
    created_at: id === 7 ? "2026-08-24T09:12:00Z" : "2026-09-11T15:40:00Z",
    n_territories: rows.length,
    n_cells: 9_745,
    resolutions: [6],
    max_imbalance: { work_minutes: worst("work_minutes"), customers: worst("customers") },
    tolerances: { work_minutes: 0.05, customers: 0.15 },
    is_feasible: id === 7,
    violations: id === 7 ? [] : [{ code: "unit_too_heavy", message: "T04 is 7.2 % over its target: the heaviest cell in it cannot be moved." }],
    bbox,
    gap: 0.0042,
  };
}

function tileJson(url: URL, tileset: string, { bbox }: MockWorld) {
  return {
    tilejson: "3.0.0",
    tiles: [`${url.origin}/v1/tiles/${tileset}/{z}/{x}/{y}.mvt${url.search}`],
    minzoom: 0,
    maxzoom: 14,
    bounds: bbox,
    vector_layers: [{ id: tileset, fields: {} }],
  };
}
