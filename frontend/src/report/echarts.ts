// Entry of dist/report/echarts.min.js: defines window.echarts with what a report draws, no more.
import * as echarts from 'echarts/core';
import { BarChart, BoxplotChart, CustomChart, HeatmapChart, LineChart, ScatterChart } from 'echarts/charts';
import {
  AriaComponent,
  DataZoomComponent,
  GridComponent,
  LegendComponent,
  MarkLineComponent,
  TitleComponent,
  TooltipComponent,
  VisualMapComponent,
} from 'echarts/components';
import { LabelLayout } from 'echarts/features';
import { CanvasRenderer, SVGRenderer } from 'echarts/renderers';
import langJA from 'echarts/i18n/langJA-obj.js';

echarts.use([
  LineChart, BarChart, HeatmapChart, BoxplotChart, CustomChart, ScatterChart,
  GridComponent, TooltipComponent, LegendComponent, DataZoomComponent, VisualMapComponent,
  TitleComponent, AriaComponent, MarkLineComponent,
  LabelLayout, CanvasRenderer, SVGRenderer,
]);
echarts.registerLocale('JA', langJA);

(globalThis as unknown as { echarts: typeof echarts }).echarts = echarts;
