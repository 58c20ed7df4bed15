/* The chart: candles with the entries, exits and levels of the session; below it the equity on the same time axis.
 * Bars are appended. The whole is drawn anew only when another session is chosen. */
(() => {
  "use strict";
  if (Pregao.chart) return;
  const { T, format, make, put, colour, request } = Pregao;
  const CONTEXT = 220;                               // bars shown from before the session
  const MARKERS = 400;
  const SETTLED = 300;                               // ms after the last touch
  const ROOM = 46;                                   // px that a result beside its arrow takes
  const MARGIN = 6;                                  // bars of room right of the newest
  const AXIS = 76;                                   // px, so that both charts have the same width of plot
  const FONT = "'IBM Plex Sans', system-ui, sans-serif";

  Pregao.chart = (root) => {
    const Library = window.LightweightCharts;
    const at = (name) => root.querySelector(`[data-chart="${name}"]`);
    const common = { autoSize: true, rightPriceScale: { minimumWidth: AXIS, borderVisible: false } };
    const top = Library.createChart(at("candles"), common);
    const low = Library.createChart(at("equity"), common);

    const levels = { tp: null, sl: null, ent: null };
    const lines = {};
    const candles = top.addCandlestickSeries({
      autoscaleInfoProvider: (original) => {         // take profit and stop loss stay in sight
        const info = original();
        const seen = Object.values(levels).filter(Number.isFinite);
        if (!info?.priceRange || !seen.length) return info;
        const { minValue, maxValue } = info.priceRange;
        return { ...info, priceRange: { minValue: Math.min(minValue, ...seen), maxValue: Math.max(maxValue, ...seen) } };
      },
    });
    candles.priceScale().applyOptions({ scaleMargins: { top: 0.08, bottom: 0.16 } });
    const volume = top.addHistogramSeries({ priceScaleId: "volume", priceFormat: { type: "volume" }, lastValueVisible: false, priceLineVisible: false });
    top.priceScale("volume").applyOptions({ scaleMargins: { top: 0.88, bottom: 0 } });
    const equity = low.addBaselineSeries({ lineWidth: 2, priceLineVisible: false, crosshairMarkerRadius: 3 });
    equity.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0.1 } });

    /* Version 4 has no panes: two charts are kept on one range and one crosshair. The one under the pointer leads;
     * if both did, each would answer the other's moves, and late answers would hold the range back. */
    let leader = top;
    const tie = (from, to, name) => {
      at(name).addEventListener("pointerenter", () => { leader = from; });
      from.timeScale().subscribeVisibleLogicalRangeChange((range) => {
        if (range && from === leader) to.timeScale().setVisibleLogicalRange(range);
      });
    };
    tie(top, low, "candles");
    tie(low, top, "equity");
    const bars = new Map();                          // open time -> what the legend shows
    top.subscribeCrosshairMove(({ time }) => {
      const bar = bars.get(time);
      legend(bar);
      if (bar && Number.isFinite(bar.eq)) low.setCrosshairPosition(bar.eq, time, equity); else low.clearCrosshairPosition();
    });
    low.subscribeCrosshairMove(({ time }) => {
      const bar = bars.get(time);
      legend(bar);
      if (bar) top.setCrosshairPosition(bar.c, time, candles); else top.clearCrosshairPosition();
    });

    let decimals = 2;
    let last = null;                                 // the newest bar
    let markers = [];
    let dirty = false;                               // markers changed since they were drawn
    let follows = true;                              // the newest bar is kept in view, until the person moves away from it
    let grown = false;                               // bars came since the last flush
    let generation = 0;                              // answers for an earlier choice are dropped
    let drawn = false;                               // a session's bars are there, and can be appended to

    const look = {};
    function paint() {
      for (const name of ["up", "down", "accent", "muted", "faint", "grid", "line", "bg", "text"]) look[name] = colour(name);
      for (const chart of [top, low]) chart.applyOptions({
        layout: { background: { color: "transparent" }, textColor: look.muted, fontFamily: FONT, fontSize: 11 },
        grid: { vertLines: { color: look.grid }, horzLines: { color: look.grid } },
        timeScale: { borderColor: look.line, timeVisible: true, secondsVisible: false, rightOffset: MARGIN, shiftVisibleRangeOnNewBar: false },
        crosshair: {
          mode: 0,
          vertLine: { color: look.faint, width: 1, style: 3, labelBackgroundColor: look.muted },
          horzLine: { color: look.faint, width: 1, style: 3, labelBackgroundColor: look.muted },
        },
        localization: { locale: Pregao.locale, priceFormatter: (value) => format.price(value, decimals) },
      });
      low.applyOptions({ localization: { locale: Pregao.locale, priceFormatter: (value) => format.number(value, 2) } });
      candles.applyOptions({
        upColor: look.up, downColor: look.down, borderUpColor: look.up, borderDownColor: look.down,
        wickUpColor: look.up, wickDownColor: look.down,
      });
      equity.applyOptions({                          // above and below what the session started with
        topLineColor: look.up, topFillColor1: `${look.up}38`, topFillColor2: `${look.up}06`,
        bottomLineColor: look.down, bottomFillColor1: `${look.down}06`, bottomFillColor2: `${look.down}38`,
      });
      drawLevels();
      markers = markers.map((marker) => ({ ...marker, color: look[marker.tone] }));
      if (markers.length) candles.setMarkers(legible(markers));
    }

    function legend(bar) {
      bar ??= last;
      if (!bar) { at("legend").replaceChildren(); return; }
      const price = (value) => format.price(value, decimals);
      const parts = [["bar_open", bar.o], ["bar_high", bar.h], ["bar_low", bar.l], ["bar_close", bar.c]];
      const change = bar.o ? (bar.c / bar.o - 1) * 100 : 0;
      at("legend").replaceChildren(
        make("span", { class: "when" }, `${format.time(bar.t)} UTC`),
        ...parts.flatMap(([name, value]) => [make("i", {}, T(name)), make("b", {}, price(value))]),
        make("b", { "data-sign": Math.sign(change) }, format.signedPercent(change)),
      );
      put(at("equity-value"), Number.isFinite(bar.eq) ? format.money(bar.eq) : "");
      put(at("drawdown"), Number.isFinite(bar.dd) && bar.dd < 0 ? `${T("drawdown")} ${format.signedPercent(bar.dd * 100, 2)}` : "");
    }

    function drawLevels() {
      const style = { tp: ["up", "level_tp"], sl: ["down", "level_sl"], ent: ["muted", "level_entry"] };
      for (const [name, [tone, title]] of Object.entries(style)) {
        const price = levels[name];
        if (!Number.isFinite(price)) {
          if (lines[name]) candles.removePriceLine(lines[name]);
          delete lines[name];
          continue;
        }
        const options = {
          price, title: T(title), color: look[tone], lineWidth: 1, lineStyle: 2,
          axisLabelVisible: true, axisLabelColor: look[tone], axisLabelTextColor: look.bg,
        };
        if (lines[name]) lines[name].applyOptions(options); else lines[name] = candles.createPriceLine(options);
      }
    }

    /* Before the session the equity is the cash, unseen: a chart without any value would not keep the other's range. */
    const CLEAR = "transparent";
    const UNSEEN = {
      topLineColor: CLEAR, topFillColor1: CLEAR, topFillColor2: CLEAR,
      bottomLineColor: CLEAR, bottomFillColor1: CLEAR, bottomFillColor2: CLEAR,
    };
    const toEdge = () => leader.timeScale().scrollToPosition(MARGIN, false);

    /* While a person moves the charts nothing else does; afterwards the newest bar is followed if it was in view,
     * not counting those that came meanwhile. (A position can be read only some frames after it was set.) */
    let hand = null;                                 // how many bars there were when the person began to move
    let settling = 0;
    const settle = () => {
      follows = leader.timeScale().scrollPosition() + bars.size - hand > -1;
      hand = null;
      if (follows) toEdge();
    };
    const touch = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      hand ??= bars.size;
      clearTimeout(settling);
      settling = setTimeout(settle, SETTLED);
    };
    for (const name of ["candles", "equity"]) {
      for (const type of ["wheel", "pointerdown", "pointermove", "touchmove"]) at(name).addEventListener(type, touch, { passive: true });
    }
    top.timeScale().subscribeVisibleLogicalRangeChange((range) => {
      root.dataset.edge = String(Boolean(range) && range.to >= bars.size - 1);
      zoomed(range);
    });

    const point = (bar) => ({ time: bar.t, open: bar.o, high: bar.h, low: bar.l, close: bar.c });
    const amount = (bar, pale) => ({ time: bar.t, value: bar.v, color: `${bar.c >= bar.o ? look.up : look.down}${pale ? "1c" : "3a"}` });
    const worth = (bar) => (Number.isFinite(bar.eq) ? { time: bar.t, value: bar.eq } : { time: bar.t });
    const pale = (bar) => {                          // bars that were there before the session
      const tone = `${bar.c >= bar.o ? look.up : look.down}59`;
      return { ...point(bar), color: tone, borderColor: tone, wickColor: tone };
    };

    function mark(fill) {
      const entry = fill.role === "entry";
      const tone = entry ? "accent" : fill.net >= 0 ? "up" : "down";
      markers.push({
        time: last ? Math.min(fill.t, last.t) : fill.t, tone, color: look[tone],
        position: fill.side > 0 ? "belowBar" : "aboveBar",
        shape: fill.side > 0 ? "arrowUp" : "arrowDown",
        text: entry ? "" : format.signedMoney(fill.net),
        size: 1,
      });
      if (markers.length > MARKERS) markers = markers.slice(-MARKERS);
      dirty = true;
    }

    /* A result is told beside its arrow where no other arrow is near; closer by, there is room for more. */
    function legible(every) {
      const places = every.map((one) => top.timeScale().timeToCoordinate(one.time));
      const near = (i, step) => {                    // pixels to the next arrow on the same side of the bars
        let other = i + step;
        while (every[other] && every[other].position !== every[i].position) other += step;
        return every[other] && places[other] !== null ? Math.abs(places[other] - places[i]) : Infinity;
      };
      return every.map((one, i) => (one.text && places[i] !== null && Math.min(near(i, -1), near(i, 1)) < ROOM ? { ...one, text: "" } : one));
    }
    let scale = 0;
    let zooming = null;
    function zoomed(range) {
      const wide = range ? range.to - range.from : 0;
      if (Math.abs(wide - scale) < scale * 0.05) return;
      scale = wide;
      clearTimeout(zooming);
      zooming = setTimeout(() => { if (markers.length) candles.setMarkers(legible(markers)); }, SETTLED);
    }

    function setLevels(bar) {
      if (bar.tp === levels.tp && bar.sl === levels.sl && bar.ent === levels.ent) return;
      for (const name of ["tp", "sl", "ent"]) levels[name] = bar[name] ?? null;
      drawLevels();
    }

    /* The equity chart carries the time axis of both; without a session there is only the upper one. */
    const alone = (yes) => top.timeScale().applyOptions({ visible: yes });

    function clear(instrument) {
      generation += 1;
      drawn = false;
      follows = true;
      bars.clear();
      last = null;
      markers = [];
      dirty = false;
      for (const series of [candles, volume, equity]) series.setData([]);
      candles.setMarkers([]);
      setLevels({});
      decimals = instrument ? instrument.price_decimals : 2;
      candles.applyOptions({ priceFormat: { type: "price", precision: Math.min(decimals, 8), minMove: 10 ** -Math.min(decimals, 8) } });
      root.dataset.markers = "0";
      root.dataset.bars = "0";
      put(at("note"), "");
      legend(null);
    }

    function before(session, instrument, time) {
      const asked = { limit: CONTEXT, ...(time === null ? {} : { end: time }), ...(session.also.length ? { instrument: instrument.key } : {}) };
      return request(`/api/sessions/${encodeURIComponent(session.id)}/before?${new URLSearchParams(asked)}`).catch(() => []);
    }

    /* All that there is, in one drawing: the bars from before the session paler, without its equity. */
    function draw(session, early, own) {
      bars.clear();
      for (const bar of [...early, ...own]) bars.set(bar.t, bar);
      candles.setData([...early.map(pale), ...own.map(point)]);
      volume.setData([...early.map((bar) => amount(bar, true)), ...own.map((bar) => amount(bar, false))]);
      equity.applyOptions({ baseValue: { type: "price", price: session.cash } });
      equity.setData([...early.map((bar) => ({ ...UNSEEN, time: bar.t, value: session.cash })), ...own.map(worth)]);
      last = own[own.length - 1] ?? early[early.length - 1] ?? null;
      put(at("note"), early.length ? T("before") : "");
    }

    const chart = {
      clear,
      levels(standing) { if (drawn) setLevels(standing.pos ? standing : {}); },
      async preview(instrument, timeframe) {         // the market of the ticket, not traded
        clear(instrument);
        alone(true);
        const mine = generation;
        const rows = await request(`/api/bars?${new URLSearchParams({ instrument: instrument.key, timeframe, limit: CONTEXT })}`).catch(() => []);
        if (mine !== generation || !rows.length) return;
        for (const bar of rows) bars.set(bar.t, bar);
        last = rows[rows.length - 1];
        candles.setData(rows.map(point));
        volume.setData(rows.map((bar) => amount(bar, false)));
        equity.setData(rows.map((bar) => ({ time: bar.t })));
        put(at("note"), T("preview"));
        legend(null);
        toEdge();
      },
      /* One drawing of what there is of an instrument, then appended to; `heard` tells its rows so far. */
      async begin(session, instrument, heard) {
        clear(instrument);
        alone(false);
        const mine = generation;
        const early = await before(session, instrument, heard().find((row) => row.k === "bar")?.t ?? session.start);
        if (mine !== generation) return;
        const rows = heard();                        // with those that came meanwhile
        const market = rows.filter((row) => row.k === "bar");
        draw(session, early, market);
        drawn = true;
        for (const row of rows) if (row.k === "fill") mark(row);
        chart.flush();
        legend(null);
        toEdge();
      },
      async warm(session, instrument) {              // a live session that was already looked at has begun
        const mine = generation;
        const early = await before(session, instrument, null);
        const own = [...bars.values()].filter((bar) => bar.k === "bar");
        if (mine !== generation || !early.length || !own.every((bar) => bar.t > early[early.length - 1].t)) return;
        draw(session, early, own);
        grown = true;
        chart.flush();
      },
      add(row) {
        if (!drawn) return;
        if (row.k === "fill") { mark(row); return; }
        if (row.k !== "bar" || (last && row.t < last.t)) return;
        last = row;
        bars.set(row.t, row);
        candles.update(point(row));
        volume.update(amount(row, false));
        equity.update(worth(row));
        grown = true;
      },
      flush() {                                      // once for each batch
        if (!drawn) return;
        if (dirty) candles.setMarkers(legible(markers));
        dirty = false;
        if (grown && follows && hand === null) toEdge();
        grown = false;
        root.dataset.markers = String(markers.length);
        root.dataset.bars = String(bars.size);
        legend(null);
      },
    };
    paint();
    window.addEventListener("pregao:theme", paint);
    return chart;
  };
})();
