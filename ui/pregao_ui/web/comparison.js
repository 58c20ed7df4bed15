/* Several sessions side by side: their equity in one chart, 100 at each one's start, and their figures in one table. */
(() => {
  "use strict";
  if (Pregao.comparison) return;
  const { T, format, make, put, colour, symbols, request } = Pregao;
  const FRACTIONS = ["net_return", "annual_return", "max_drawdown", "hit_rate", "mean_trade", "exposure"];
  const SMALLER = ["max_drawdown", "fees", "turnover"];   // of these the smaller is the better
  const NEITHER = ["trades", "exposure"];
  const figure = (name, value) => (!Number.isFinite(value) ? "–" : FRACTIONS.includes(name) ? format.percent(value * 100)
    : name === "trades" ? format.number(value, 0) : format.number(value, 2));

  Pregao.comparison = (sessionOf) => {
    let asked = 0;
    let chart = null;
    let found = [];
    let byStart = false;                             // on the time since each one's start, not on the market's
    const plot = make("div", { class: "pg-plot compared" });
    const legend = make("div", { class: "legend" });
    const table = make("div", { class: "pg-inner", tabindex: "0", role: "region", "aria-label": T("comparison") });
    const align = make("button", { type: "button", class: "small", "aria-pressed": "false", onclick: () => { byStart = !byStart; align.setAttribute("aria-pressed", String(byStart)); lines(); } }, T("compare_start"));
    const state = make("p", { class: "pg-empty", role: "status" }, T("loading"));
    const node = make("section", { class: "pg-comparison", "aria-label": T("comparison"), hidden: "" },
      make("header", {}, make("h3", {}, T("comparison")), legend, make("span", { class: "gap" }), align,
        make("button", { type: "button", class: "text", onclick: () => hide() }, T("close"))), state, plot, table);
    node.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });

    const tone = (i) => colour(`series-${i}`);
    const name = (id) => {
      const session = sessionOf(id);
      return session ? `${symbols(session)} ${session.timeframe} · ${session.strategy}` : id;
    };
    function look() {
      const muted = colour("muted");
      chart?.applyOptions({
        layout: { background: { color: "transparent" }, textColor: muted, fontFamily: "'IBM Plex Sans', system-ui, sans-serif", fontSize: 11 },
        grid: { vertLines: { color: colour("grid") }, horzLines: { color: colour("grid") } },
        timeScale: { borderColor: colour("line") },
      });
    }
    function lines() {
      chart?.remove();
      chart = window.LightweightCharts.createChart(plot, {
        autoSize: true, rightPriceScale: { borderVisible: false, minimumWidth: 70 }, crosshair: { mode: 0 },
        timeScale: { timeVisible: true, secondsVisible: false, tickMarkFormatter: byStart ? (time) => format.span(time) : undefined },
        localization: {
          locale: Pregao.locale, priceFormatter: (value) => `${format.number(value, 2)} %`,
          timeFormatter: (time) => (byStart ? T("after_start", { time: format.span(time) }) : `${format.time(time)} UTC`),
        },
      });
      look();
      found.forEach(({ times, equity }, i) => {
        if (!times.length) return;
        const series = chart.addLineSeries({ color: tone(i), lineWidth: 2, priceLineVisible: false });
        const begun = byStart ? times[0] : 0;
        series.setData(times.map((time, at) => ({ time: time - begun, value: equity[at] })));
        if (i === 0) series.createPriceLine({ price: 100, color: colour("faint"), lineWidth: 1, lineStyle: 2, axisLabelVisible: false, title: "" });
      });
      chart.timeScale().fitContent();
    }
    function best(figure, values) {
      const real = values.filter(Number.isFinite);
      if (NEITHER.includes(figure) || new Set(real).size < 2) return null;
      return SMALLER.includes(figure) ? Math.min(...real) : Math.max(...real);
    }
    function figures() {
      const names = [...new Set(found.flatMap(({ figures }) => Object.keys(figures)))];
      const head = make("tr", {}, make("th", { scope: "col" }, ""), ...found.map(({ session }, i) =>
        make("th", { scope: "col", class: "n" }, make("i", { class: "swatch", style: `background:${tone(i)}` }), name(session), make("small", {}, session))));
      const row = (label, cells) => make("tr", {}, make("th", { scope: "row" }, label), ...cells);
      const money = (value, quote) => `${format.signedMoney(value)} ${quote}`;
      table.replaceChildren(make("table", { class: "pg-table" }, make("thead", {}, head), make("tbody", {},
        row(T("pnl"), found.map(({ session }) => {
          const it = sessionOf(session);
          return make("td", { class: "n", "data-sign": Math.sign(it?.pnl ?? 0) }, it ? money(it.pnl, it.instrument.quote) : "–");
        })),
        ...names.map((each) => {
          const values = found.map(({ figures }) => figures[each]);
          const top = best(each, values);
          return row(T(`metric_${each}`), values.map((value) => make("td", { class: value === top && top !== null ? "n best" : "n" }, figure(each, value))));
        }),
        row(T("entry_value"), found.map(({ session }) => make("td", { class: "n" }, format.money(sessionOf(session)?.entry_value)))),
        row(`${T("take_profit")} / ${T("stop_loss")}`, found.map(({ session }) => {
          const it = sessionOf(session);
          return make("td", { class: "n" }, !it ? "–" : it.take_profit_price ? `${format.number(it.take_profit_price, 0, 8)} / ${format.number(it.stop_loss_price, 0, 8)}`
            : `+${format.number(it.take_profit, 0, 4)} % / \u2212${format.number(it.stop_loss, 0, 4)} %`);
        })),
        ...found.filter(({ problem }) => problem).map(({ session, problem }) => make("tr", {}, make("td", { colspan: found.length + 1, class: "warn" }, `${session}: ${problem}`))))));
      legend.replaceChildren(...found.map(({ session }, i) => make("span", {}, make("i", { class: "swatch", style: `background:${tone(i)}` }), name(session))));
    }
    function hide() {
      asked += 1;
      node.hidden = true;
      chart?.remove();
      chart = null;
    }
    async function show(ids) {
      if (ids.length < 2) { hide(); return; }
      const mine = asked += 1;
      node.hidden = false;
      state.hidden = false;
      put(state, T("loading"));
      try {
        const query = ids.map((id) => `session=${encodeURIComponent(id)}`).join("&");
        const answer = await request(`/api/v1/comparison?${query}`);
        if (mine !== asked) return;
        found = answer;
        state.hidden = true;
        figures();
        lines();
        requestAnimationFrame(() => chart?.timeScale().fitContent());   // once it has its size beside the table
      } catch (error) {
        if (mine === asked) put(state, `${T("failed")}: ${error.status ? error.message : T("lost")}`);
      }
    }
    window.addEventListener("pregao:theme", () => { if (chart) { look(); } });
    return { node, show, get shown() { return !node.hidden; } };
  };
})();
