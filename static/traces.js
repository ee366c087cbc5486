// The Traces page: registers its elements and starts the one controller that talks to the server.

import { registerTopBar } from "./components/top-bar/top-bar.js";
import { registerTraceFilter } from "./components/trace-filter/trace-filter.js";
import { registerTraceList } from "./components/trace-list/trace-list.js";
import { TracesPage } from "./components/traces-page/traces-page.js";

registerTopBar();
registerTraceFilter();
registerTraceList();

new TracesPage(document).start();
