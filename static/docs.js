// The docs are whole without a script; this adds the bar that every page has.

import { registerTopBar } from "./components/top-bar/top-bar.js";

registerTopBar();
