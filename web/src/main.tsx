import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { App } from "./App";
import "./styles/base.css";
import "./styles/panel.css";
import "./styles/notices.css";
import "./styles/balance.css";
import "./styles/map.css";
import "./styles/details.css";
import "./styles/legend.css";

const root = document.getElementById("root");
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
