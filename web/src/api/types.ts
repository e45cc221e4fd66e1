/** The part of the `/v1` answers this page reads. Work is in minutes per year, imbalance and tolerance are fractions. */

export type Bbox = [west: number, south: number, east: number, north: number];
export type LonLat = [lon: number, lat: number];
export type ByMeasure = Readonly<Record<string, number>>;

export interface Link {
  rel: string;
  href: string;
}

export interface Page<T> {
  items: T[];
  links?: Link[];
}

export interface Layer {
  id: number;
  name: string;
  title: string | null;
  plan_in_force: { plan_id: number; publication_id: number; effective_from: string } | null;
}

export type PlanState = "draft" | "proposed" | "approved" | "published" | "superseded" | "archived";

export interface Violation {
  code: string;
  message: string;
  facts?: Record<string, unknown>;
  /** The least change of the request that does away with it: a JSON pointer with a value or an action. */
  relaxation?: { field?: string; value?: number | null; action?: string; n_territories?: number };
}

export interface PlanSummary {
  id: number;
  layer_id: number;
  name: string;
  state: PlanState;
  created_at: string;
  n_territories: number;
  n_cells: number;
  resolutions: number[];
  max_imbalance: ByMeasure;
  tolerances: ByMeasure;
  is_feasible: boolean;
  violations: Violation[];
  bbox: Bbox;
  /** Proven distance from the optimum, where the certificate states one. */
  gap?: number | null;
}

export interface Rep {
  id: number;
  name: string;
}

export interface BalanceRow {
  territory_id: number;
  code: string;
  name: string;
  colour: number;
  rep: Rep | null;
  n_cells: number;
  /** Null, and no imbalance, where customers are so few that not everybody is told of them. */
  customers: number | null;
  work_minutes: number | null;
  potential: number | null;
  target_work_minutes: number | null;
  imbalance: ByMeasure;
  components: number;
  label_point: LonLat;
  bbox: Bbox;
}

export interface Island {
  n_cells: number;
  customers: number | null;
  work_share: number | null;
  place: [number, number];
  n_territories: number;
  left_out: boolean;
  reason: string | null;
}

export interface Plan extends PlanSummary {
  balance: BalanceRow[];
  components: Island[];
}

export interface Customer {
  id: number;
  external_id: string;
  name: string;
  lon: number;
  lat: number;
  class: string | null;
  segment: string | null;
  status: string;
  work_minutes: number;
  last_visit_at: string | null;
}

export interface TerritoryAt {
  layer_id: number;
  plan_id: number;
  territory: { id: number; code: string; name: string };
  rep: Rep | null;
}

export type Measure = "customers" | "density" | "work_minutes" | "potential";

export type Heatmap = GeoJSON.FeatureCollection<GeoJSON.Polygon, { cell: string; value: number }> & {
  measure: string;
  resolution: number;
  breaks?: number[];
  total?: number | null;
};
