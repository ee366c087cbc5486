// The edge page: registers its elements and starts the one controller that talks to the server.

import { registerConfigurationPanel } from "./components/configuration-panel/configuration-panel.js";
import { EdgePage } from "./components/edge-page/edge-page.js";
import { registerSettingRow } from "./components/setting-row/setting-row.js";
import { registerSettingsList } from "./components/settings-list/settings-list.js";
import { registerSharedCache } from "./components/shared-cache/shared-cache.js";
import { registerSideStations } from "./components/side-stations/side-stations.js";
import { registerSiteRoutes } from "./components/site-routes/site-routes.js";
import { registerTopBar } from "./components/top-bar/top-bar.js";
import { registerUpstreamEvents } from "./components/upstream-events/upstream-events.js";
import { registerUpstreamList } from "./components/upstream-list/upstream-list.js";
import { registerUpstreamRow } from "./components/upstream-row/upstream-row.js";

registerTopBar();
registerUpstreamRow();
registerUpstreamList();
registerUpstreamEvents();
registerSharedCache();
registerSideStations();
registerConfigurationPanel();
registerSiteRoutes();
registerSettingRow();
registerSettingsList();

new EdgePage(document).start();
