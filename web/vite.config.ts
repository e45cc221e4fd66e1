import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const API = process.env.BAILIWICK_API ?? "http://127.0.0.1:8000";

export default defineConfig({
  base: "/",
  plugins: [react()],
  build: {
    // Inlined assets would be data: addresses, which a strict content security policy refuses.
    assetsInlineLimit: 0,
    // MapLibre alone is past the default of 500 kB; the limit still catches an accident.
    chunkSizeWarningLimit: 1200,
    rolldownOptions: {
      output: {
        // The map library changes less often than the page and keeps its place in the reader's cache.
        codeSplitting: { groups: [{ name: "maplibre", test: /node_modules\/(maplibre-gl|@maplibre)\// }] },
      },
    },
  },
  server: { proxy: { "/v1": API, "/version": API } },
  test: { include: ["src/**/*.test.ts"] },
});
