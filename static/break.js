// The break page: registers its elements and starts the one controller that talks to the server.

import { registerBadDays } from "./components/bad-days/bad-days.js";
import { BreakPage } from "./components/break-page/break-page.js";
import { registerEffectStrip } from "./components/effect-strip/effect-strip.js";
import { registerFaultDetails } from "./components/fault-details/fault-details.js";
import { registerFaultLine } from "./components/fault-line/fault-line.js";
import { registerFaultSlider } from "./components/fault-slider/fault-slider.js";
import { registerFaultSwitch } from "./components/fault-switch/fault-switch.js";
import { registerTopBar } from "./components/top-bar/top-bar.js";

registerTopBar();
registerFaultSlider();
registerFaultSwitch();
registerFaultDetails();
registerFaultLine();
registerBadDays();
registerEffectStrip();

new BreakPage(document).start();
