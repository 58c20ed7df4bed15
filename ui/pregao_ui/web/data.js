/* The Data page: what is stored, how whole and how good it is, its versions; bring more, from a source or a file. */
(() => {
  "use strict";
  if (Pregao.dataPage) return;
  const { T, has, told, format, make, withCode, request } = Pregao;
  const { empty, header, cell } = Pregao.page;
  const { pill, panel, loading, broken, form, words } = Pregao.room;
  const { lines } = Pregao.plots;
  const { asking, follow } = Pregao.runs;
  const TIMEFRAMES = ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "1w"];
  const PREVIEW = 300;
  const PERIODS = 48;
  const share = (of) => (of >= 1 ? "100 %" : format.percent(Math.min(of * 100, 99.9), 1));

  /* A finding in words: the sentence is the platform's, its kind and level are told in the person's language. */
  const kindOf = (finding) => { const key = `finding_${finding.kind.replace(/[ -]/g, "_")}`; return has(key) ? T(finding.count === 1 && has(`${key}_1`) ? `${key}_1` : key, { n: format.number(finding.count, 0) }) : finding.text; };
  /* Where something was found, and what: "prices.csv, line 7 has no volume", "2024-05-31 10:15: 3 missing". */
  const placed = (text) => format.dated(text.split(/ (?=(?:has|is|begins|differs) )/).map(told).join(" "));
  const TONES = { error: "bad", warning: "warn", info: "" };
  const findings = (list) => (list.length
    ? make("ul", { class: "pg-findings" }, ...list.map((finding) => make("li", {}, pill(T(`level_${finding.level}`), TONES[finding.level]), make("span", {}, kindOf(finding)),
      finding.examples.length ? make("small", {}, finding.examples.slice(0, 3).map(placed).join(" · ")) : null)))
    : make("p", { class: "pg-hint" }, T("quality_clean")));
  const aside = (rows, count) => (rows.length ? make("details", { class: "pg-aside" }, make("summary", {}, T("aside", { n: format.number(count ?? rows.length, 0) })),
    make("ul", {}, ...rows.slice(-20).map((row) => make("li", {}, make("b", {}, placed(row.where)), ` ${told(row.why)} `, make("code", {}, row.content))))) : null);
  /* How whole each month is, one mark a month, the newest at the right. */
  function strip(periods) {
    const marks = Object.entries(periods).slice(-PERIODS);
    return make("span", { class: "pg-strip", role: "img", "aria-label": T("coverage_of", { n: marks.length, least: share(Math.min(...marks.map(([, of]) => of))) }) },
      ...marks.map(([name, of]) => make("i", { style: `--full:${of.toFixed(3)}`, title: `${name}: ${share(of)}` })));
  }

  Pregao.dataPage = (root) => {
    const list = make("div", { "data-part": "series" }, loading());
    const detail = make("div", { "data-part": "detail" });
    const versions = make("div", { "data-part": "versions" }, loading());
    const side = make("div", {});
    root.replaceChildren(make("div", { class: "pg-head" }, make("h2", {}, T("data"))), make("p", { class: "pg-lead" }, T("data_lead")),
      make("div", { class: "pg-with-side" }, make("div", {}, list, detail, versions), side));
    let every = null;
    let chosen = new URLSearchParams(location.search).get("series");
    const id = (series) => `${series.key} ${series.timeframe}`;

    /* ---- what is stored */
    function row(series) {
      const worst = series.findings[0];
      return make("tr", { "data-series": id(series), "aria-selected": String(id(series) === chosen) },
        make("td", {}, make("button", { type: "button", class: "link", onclick: () => choose(series) }, `${series.symbol} ${series.timeframe}`), " ",
          series.synthetic ? make("span", { class: "pg-badge", title: T("synthetic_long") }, T("synthetic")) : null),
        cell(T(series.asset_class)), cell(format.number(series.bars, 0), { class: "n" }), cell(format.day(series.first)), cell(format.time(series.last)),
        make("td", {}, strip(series.periods), " ", make("small", {}, share(series.coverage))),
        make("td", {}, worst ? pill(T(`level_${worst.level}`), TONES[worst.level]) : pill(T("level_good"), "good"), " ", make("small", {}, worst ? kindOf(worst) : "")));
    }
    function draw() {
      if (!every.length) { list.replaceChildren(empty(T("no_data_title"), T("no_data_here"))); detail.replaceChildren(); return; }
      list.replaceChildren(make("div", { class: "pg-scroll", tabindex: "0", role: "region", "aria-label": T("data") }, make("table", { class: "pg-table" },
        header(["col_series"], ["asset_class"], ["col_bars", 1], ["col_first"], ["col_last"], ["col_coverage"], ["col_quality"]), make("tbody", {}, ...every.map(row)))));
    }
    async function load() {
      try { every = await request("/api/data/series"); draw(); } catch (error) { list.replaceChildren(broken(error, load)); return; }
      const wanted = every.find((series) => id(series) === chosen) ?? every[0];
      if (wanted) choose(wanted); 
      try {
        const found = await request("/api/data/versions?limit=12");
        versions.replaceChildren(panel(T("versions"), make("p", { class: "pg-hint" }, T("versions_hint")), found.length
          ? make("div", { class: "pg-scroll", tabindex: "0", role: "region", "aria-label": T("versions") }, make("table", { class: "pg-table" }, header(["col_version"], ["col_recorded"], ["col_did"], ["col_revision"]), make("tbody", {}, ...found.map((version) => make("tr", { "data-version": version.name },
            make("td", {}, make("code", {}, version.name)), cell(format.local(version.recorded)), cell(told(version.message)), make("td", {}, make("small", {}, version.revision.slice(0, 10))))))))
          : make("p", { class: "pg-hint" }, T("no_versions"))));
      } catch (error) { versions.replaceChildren(broken(error, load)); }
    }

    /* ---- one series: its last bars and what was found in it */
    async function choose(series) {
      chosen = id(series);
      const address = new URL(location);
      address.searchParams.set("series", chosen);
      history.replaceState(history.state, "", address);
      for (const node of list.querySelectorAll("tr[data-series]")) node.setAttribute("aria-selected", String(node.dataset.series === chosen));
      const query = `instrument=${encodeURIComponent(series.key)}&timeframe=${series.timeframe}`;
      try {
        const [bars, quality] = await Promise.all([request(`/api/bars?${query}&limit=${PREVIEW}`), request(`/api/data/quality?${query}`)]);
        if (chosen !== id(series)) return;
        detail.replaceChildren(panel(`${series.symbol} ${series.timeframe}`,
          make("div", { class: "pg-two" },
            make("div", {}, lines({ title: T("preview_bars", { n: bars.length }), x: (s) => format.day(s), y: (value) => format.number(value, 0, 4), xTicks: 3, series: [{ name: T("close_price"), tone: "one", points: bars.map((bar) => [bar.t, bar.c]) }] })),
            make("div", {}, make("h4", {}, T("col_quality")), findings(quality.findings),
              series.missing ? make("p", { class: "pg-hint" }, T("missing_bars", { n: format.number(series.missing, 0) })) : null, aside(quality.aside, quality.aside_count),
              make("p", { class: "acts" }, make("a", { class: "small", href: `/?session=&market=${encodeURIComponent(`${series.key} ${series.timeframe}`)}` }, T("trade_this")))))));
      } catch (error) { detail.replaceChildren(broken(error, () => choose(series))); }
    }

    /* ---- bring more from a source: a run of the flow */
    async function fetchForm() {
      const sources = (await request("/api/data/sources")).filter((name) => name !== "files");
      const place = make("div", { "data-part": "run" });
      const made = form({
        submit: T("ingest_do"),
        fields: [
          { name: "source", label: T("source"), kind: "select", value: "synthetic", options: sources.map((name) => [name, has(`source_${name}`) ? T(`source_${name}`) : name]) },
          { name: "exchange", label: T("exchange"), value: "binance", hint: T("exchange_hint") },
          { name: "symbols", label: T("symbols"), hint: "" },
          { name: "timeframe", label: T("timeframe"), kind: "select", options: [["", T("usual")], ...TIMEFRAMES.map((name) => [name, name])] },
          { name: "since", label: T("since"), hint: T("since_hint"), attributes: { placeholder: format.day(1717113600) } },
        ],
        send: async ({ source, exchange, symbols, timeframe, since }) => {
          const body = { source, symbols: symbols.split(/[\s,;]+/).filter(Boolean), timeframe: timeframe || null, since: since.trim() || null };
          if (source === "ccxt") body.exchange = exchange.trim().toLowerCase() || null;
          const { run } = await asking(request("/api/data/ingests", body));
          follow(place, run, async (ended) => {
            await load();
            const report = ended.report;
            return report.series ? T("ingested", { n: format.number(report.added, 0), count: report.series.length, version: report.version.md5.slice(0, 10) }) : null;
          });
        },
      });
      const suit = () => {
        const source = made.get("source");
        made.field("exchange").node.hidden = source !== "ccxt";
        made.field("since").node.hidden = ["sample", "synthetic"].includes(source);
        made.field("symbols").input.placeholder = has(`symbols_${source}`) ? T(`symbols_${source}`) : "";
      };
      made.field("source").input.addEventListener("input", suit);
      suit();
      return panel(T("ingest"), made.node, place);
    }

    /* ---- bring a file of one's own */
    function uploadForm() {
      const made = form({
        submit: T("upload_do"),
        fields: [
          { name: "file", label: T("file"), kind: "file", required: true, hint: T("file_hint"), attributes: { accept: ".csv,.txt,.tsv,.gz,.parquet" } },
          { name: "symbol", label: T("symbol"), required: true, attributes: { placeholder: "MINE/USD" } },
          { name: "timeframe", label: T("timeframe"), kind: "select", options: [["", T("from_times")], ...TIMEFRAMES.map((name) => [name, name])] },
        ],
        send: async ({ file, symbol, timeframe }) => {
          const query = new URLSearchParams({ file: file.name, symbol: symbol.trim(), ...(timeframe ? { timeframe } : {}) });
          const taken = await request(`/api/data/uploads?${query}`, file);
          chosen = `${taken.key} ${taken.timeframe}`;
          await load();
          return make("div", {}, T("uploaded", { n: format.number(taken.added, 0), symbol: taken.symbol, timeframe: taken.timeframe }), findings(taken.findings), aside(taken.aside) ?? "");
        },
      });
      return panel(T("upload"), made.node);
    }

    load();
    fetchForm().then((node) => side.replaceChildren(node, uploadForm()), (error) => side.replaceChildren(broken(error, () => location.reload())));
  };
})();
