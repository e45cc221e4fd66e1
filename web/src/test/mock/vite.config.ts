import { fileURLToPath } from "node:url";
import { mergeConfig } from "vite";

import page from "../../../vite.config.ts";
import { mockApi } from "./plugin.ts";

/** The page against made-up data: a config of its own, so that the shipped build cannot pick the mock up. */
export default mergeConfig(page, {
  root: fileURLToPath(new URL("../../../", import.meta.url)),
  plugins: [mockApi()],
});
