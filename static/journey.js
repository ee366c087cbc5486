// The journey page: registers its elements and starts the one controller that knows the state.

import { registerBreakIt } from "./components/break-it/break-it.js";
import { registerComposer } from "./components/composer/composer.js";
import { registerFaultDetails } from "./components/fault-details/fault-details.js";
import { registerFaultLine } from "./components/fault-line/fault-line.js";
import { registerFaultSlider } from "./components/fault-slider/fault-slider.js";
import { registerFaultSwitch } from "./components/fault-switch/fault-switch.js";
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
registerFaultSlider();
registerFaultSwitch();
registerFaultDetails();
registerFaultLine();
registerBreakIt();

new JourneyPage(document).start();
