// The journey page: registers its elements and starts the one controller that knows the state.

import { registerComposer } from "./components/composer/composer.js";
import { registerHistory } from "./components/history/history.js";
import { registerInspector } from "./components/inspector/inspector.js";
import { JourneyPage } from "./components/journey-page/journey-page.js";
import { registerLineMap } from "./components/line-map/line-map.js";
import { registerSeveral } from "./components/several/several.js";
import { registerTopBar } from "./components/top-bar/top-bar.js";
import { registerTripPlayer } from "./components/trip-player/trip-player.js";
import { registerWaterfall } from "./components/waterfall/waterfall.js";

registerTopBar();
registerComposer();
registerTripPlayer();
registerLineMap();
registerSeveral();
registerWaterfall();
registerInspector();
registerHistory();

new JourneyPage(document).start();
