// The chart on its canvas: the only file that knows lightweight-charts.
import {
  CandlestickSeries, ColorType, createChart, CrosshairMode, HistogramSeries, LineStyle, TickMarkType,
  type CandlestickData, type ChartOptions, type DeepPartial, type HistogramData, type IChartApi, type ISeriesApi,
  type LogicalRange, type MouseEventParams, type Time, type UTCTimestamp, type WhitespaceData,
} from 'lightweight-charts';
import { missingStarts, type TimedBar } from '../domain/bars';
import { parseDecimal } from '../domain/decimal';
import { formatTime, type TimeFormat, type Zone } from '../domain/time';
import type { ChartView } from '../state/chart.svelte';
import { palette, type Palette } from './palette';

/** Wide enough for a body with a visible border. */
const BAR_WIDTH = 8;
/** Empty bars kept at the right, where the next ones will come. */
const RIGHT_BARS = 4;
/** How near to the first bar older ones are asked for. */
const OLDER_AT = 20;
/** Bars whose digits decide how many digits the axis shows. */
const PRECISION_BARS = 50;

export interface DrawingEvents {
  /** The bar under the crosshair, or null. */
  onHover: (startMs: number | null) => void;
  onNeedOlder: () => void;
  /** Whether the newest bar is in view. */
  onLatest: (isShown: boolean) => void;
}

const time = (ms: number): UTCTimestamp => (ms / 1000) as UTCTimestamp;
const ms = (value: Time): number => (value as number) * 1000;

const TICKS: Record<TickMarkType, TimeFormat> = {
  [TickMarkType.Year]: 'year',
  [TickMarkType.Month]: 'month',
  [TickMarkType.DayOfMonth]: 'day',
  [TickMarkType.Time]: 'minute',
  [TickMarkType.TimeWithSeconds]: 'second',
};

/** Digits after the point that the prices use, two at least. */
function precisionOf(bars: readonly TimedBar[]): number {
  const digits = bars.slice(-PRECISION_BARS).map((bar) => {
    const value = parseDecimal(bar.close);
    if (!value) return 0;
    const zeros = /0*$/.exec(value.units.toString())?.[0].length ?? 0;
    return value.scale - zeros;
  });
  return Math.max(2, ...digits);
}

function chartOptions(colors: Palette): DeepPartial<ChartOptions> {
  const line = { color: colors.lineStrong, labelBackgroundColor: colors.label, style: LineStyle.Dashed };
  return {
    layout: {
      background: { type: ColorType.Solid, color: colors.surface },
      textColor: colors.muted,
      fontFamily: colors.font,
      fontSize: 12,
      attributionLogo: true,
    },
    grid: { vertLines: { color: colors.grid }, horzLines: { color: colors.grid } },
    crosshair: { mode: CrosshairMode.Normal, vertLine: line, horzLine: line },
    rightPriceScale: { borderColor: colors.line, scaleMargins: { top: 0.1, bottom: 0.2 } },
    timeScale: { borderColor: colors.line, rightOffset: RIGHT_BARS, timeVisible: true, secondsVisible: false, minBarSpacing: 0.8 },
    // A finger that moves up and down scrolls the page.
    handleScroll: { vertTouchDrag: false },
  };
}

/** The library's link names this server to the site it leads to; a plain link does not. */
function tameLogo(root: HTMLElement, colors: Palette): void {
  const link = root.querySelector<HTMLAnchorElement>('#tv-attr-logo');
  if (!link) return;
  link.href = 'https://www.tradingview.com/';
  link.rel = 'noopener noreferrer';
  link.toggleAttribute('data-dark', colors.isDark);
}

export class Drawing {
  #chart: IChartApi;
  #candles: ISeriesApi<'Candlestick'>;
  #volumes: ISeriesApi<'Histogram'>;
  #root: HTMLElement;
  #sizes: ResizeObserver;
  #palette: Palette;
  #view: ChartView | null = null;

  constructor(container: HTMLElement, zone: Zone, readonly events: DrawingEvents) {
    const colors = palette();
    this.#palette = colors;
    // Built outside of the document: the attribution logo brings a `<style>` that the page's policy
    // refuses. It is taken out before the policy can see it; PriceChart.svelte has the same rules. The
    // library would look for it again if panes or colors changed: so there is one pane, and another
    // theme is another drawing.
    this.#root = document.createElement('div');
    this.#root.className = 'canvas';
    this.#chart = createChart(this.#root, chartOptions(colors));
    for (const style of this.#root.querySelectorAll('style')) style.remove();
    tameLogo(this.#root, colors);
    this.#candles = this.#chart.addSeries(CandlestickSeries, {
      // Hollow up, filled down: the direction does not hang on the color.
      upColor: colors.surface, borderUpColor: colors.up, wickUpColor: colors.up,
      downColor: colors.down, borderDownColor: colors.down, wickDownColor: colors.down,
      priceLineColor: colors.accent, priceLineStyle: LineStyle.Dotted,
    });
    this.#volumes = this.#chart.addSeries(HistogramSeries, {
      priceScaleId: 'volume', priceFormat: { type: 'volume' }, lastValueVisible: false, priceLineVisible: false,
    });
    this.#volumes.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    container.append(this.#root);
    this.#fit();
    this.#sizes = new ResizeObserver(() => this.#fit());
    this.#sizes.observe(this.#root);
    this.setZone(zone);
    this.#chart.subscribeCrosshairMove((event) => this.#onCrosshair(event));
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      if (!range || !this.#view) return;
      if (range.from < OLDER_AT) this.events.onNeedOlder();
      this.events.onLatest(this.#chart.timeScale().scrollPosition() > -2);
    });
  }

  /** What is in view, to be handed to the next drawing of the same bars. */
  range(): LogicalRange | null {
    return this.#chart.timeScale().getVisibleLogicalRange();
  }

  setRange(range: LogicalRange): void {
    this.#chart.timeScale().setVisibleLogicalRange(range);
  }

  setZone(zone: Zone): void {
    this.#chart.applyOptions({
      localization: {
        timeFormatter: (value: Time) => formatTime(ms(value), this.#view?.interval === '1d' ? 'date' : 'full', zone),
      },
      timeScale: { tickMarkFormatter: (value: Time, type: TickMarkType) => formatTime(ms(value), TICKS[type], zone) },
    });
  }

  /** Draws a view; only its newest bars if the rest is what is already drawn. */
  show(view: ChartView): void {
    const drawn = this.#view;
    this.#view = view;
    if (drawn?.symbol !== view.symbol || drawn.interval !== view.interval) {
      const precision = precisionOf(view.bars);
      this.#candles.applyOptions({ priceFormat: { type: 'price', precision, minMove: 10 ** -precision } });
      this.#setAll(view);
      this.#chart.priceScale('right').applyOptions({ autoScale: true });
      this.toLatest();
      return;
    }
    const same = drawn.bars.findIndex((bar, at) => bar !== view.bars[at]);
    const from = same < 0 ? drawn.bars.length : same;
    const isTail = from >= drawn.bars.length - 1 && view.bars.length >= drawn.bars.length;
    const added = view.bars.slice(Math.max(0, from - 1));
    if (!isTail || from === 0 || missingStarts(added, view.interval).length > 0) {
      this.#setAll(view);
      return;
    }
    for (const bar of view.bars.slice(from)) {
      this.#candles.update(this.#candle(bar));
      this.#volumes.update(this.#volume(bar));
    }
  }

  /** Shows the newest bars at a comfortable width. */
  toLatest(): void {
    const width = this.#chart.timeScale().width() || 800;
    const count = Math.max(20, Math.floor(width / BAR_WIDTH));
    const last = this.#candles.data().length - 1;
    this.#chart.timeScale().setVisibleLogicalRange({ from: last - count + RIGHT_BARS, to: last + RIGHT_BARS });
  }

  /** Puts the crosshair on a bar, and the bar into view. */
  pointAt(bar: TimedBar): void {
    const scale = this.#chart.timeScale();
    const index = scale.timeToIndex(time(bar.startMs), false);
    const range = scale.getVisibleLogicalRange();
    if (index !== null && range && (index < range.from || index > range.to)) {
      const half = (range.to - range.from) / 2;
      scale.setVisibleLogicalRange({ from: index - half, to: index + half });
    }
    this.#chart.setCrosshairPosition(Number(bar.close), time(bar.startMs), this.#candles);
    this.events.onHover(bar.startMs);
  }

  clearPoint(): void {
    this.#chart.clearCrosshairPosition();
    this.events.onHover(null);
  }

  destroy(): void {
    this.#sizes.disconnect();
    this.#chart.remove();
    this.#root.remove();
  }

  /** At once, not with the next frame as the library would: what is in view depends on the width. */
  #fit(): void {
    const { clientWidth, clientHeight } = this.#root;
    if (clientWidth > 0 && clientHeight > 0) this.#chart.resize(clientWidth, clientHeight);
  }

  /** Missing bars of a session stay empty places; unless most are missing, as with coarser feeds. */
  #setAll(view: ChartView): void {
    const missing = missingStarts(view.bars, view.interval);
    const holes: WhitespaceData[] = missing.length < view.bars.length ? missing.map((start) => ({ time: time(start) })) : [];
    const byTime = (a: WhitespaceData, b: WhitespaceData): number => (a.time as number) - (b.time as number);
    this.#candles.setData([...view.bars.map((bar) => this.#candle(bar)), ...holes].sort(byTime));
    this.#volumes.setData([...view.bars.map((bar) => this.#volume(bar)), ...holes].sort(byTime));
  }

  // Floats from here on place pixels; the texts beside the chart are the exact ones.
  #candle(bar: TimedBar): CandlestickData {
    return {
      time: time(bar.startMs), open: Number(bar.open), high: Number(bar.high), low: Number(bar.low), close: Number(bar.close),
    };
  }

  #volume(bar: TimedBar): HistogramData | WhitespaceData {
    if (bar.volume === null) return { time: time(bar.startMs) };
    const isUp = Number(bar.close) >= Number(bar.open);
    return { time: time(bar.startMs), value: Number(bar.volume), color: isUp ? this.#palette.volumeUp : this.#palette.volumeDown };
  }

  #onCrosshair(event: MouseEventParams): void {
    this.events.onHover(event.time === undefined ? null : ms(event.time));
  }
}
