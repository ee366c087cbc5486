// The Live page: registers its elements and starts the one controller that talks to the server.

import { registerAutoscalerLog } from "./components/autoscaler-log/autoscaler-log.js";
import { registerInstanceTable } from "./components/instance-table/instance-table.js";
import { registerKitchenWorkers } from "./components/kitchen-workers/kitchen-workers.js";
import { registerLiveChart } from "./components/live-chart/live-chart.js";
import { LivePage } from "./components/live-page/live-page.js";
import { registerLogTail } from "./components/log-tail/log-tail.js";
import { registerRollOut } from "./components/roll-out/roll-out.js";
import { registerSaturationPipe } from "./components/saturation-pipe/saturation-pipe.js";
import { registerSendTraffic } from "./components/send-traffic/send-traffic.js";
import { registerTopBar } from "./components/top-bar/top-bar.js";

registerTopBar();
registerSaturationPipe();
registerLiveChart();
registerInstanceTable();
registerRollOut();
registerKitchenWorkers();
registerAutoscalerLog();
registerSendTraffic();
registerLogTail();

new LivePage(document).start();
