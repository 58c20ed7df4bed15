/* What the record of a session proves, opened below it with one click: audit, lineage, trades, shadow. */
(() => {
  "use strict";
  if (Pregao.record) return;
  const { T, has, told, format, make, instrumentOf, symbols, request } = Pregao;

  /* ---- audit: the whole journal lived through again */
  function audit(found) {
    const good = found.identical;
    return [
      make("p", { class: `verdict ${good ? "good" : "bad"}` }, make("b", {}, good ? T("audit_identical") : T("audit_differs"))),
      make("p", {}, good ? T("audit_long", { rows: format.number(found.rows, 0), bars: format.number(found.bars, 0), time: format.number(found.seconds, 1) }) : found.problem),
      found.cuts ? make("p", { class: "warn" }, T("audit_cuts", { n: found.cuts })) : null,
      make("p", { class: "hash" }, `${T("audit_digest")} `, make("code", {}, found.digest)),
    ];
  }

  /* ---- lineage: from the money back to code, model and data */
  function facts(step, session) {
    const { facts: f } = step;
    const instrument = instrumentOf(session, f);
    const price = (value) => format.price(value, instrument.price_decimals);
    const role = (name) => (has(`role_${name}`) ? T(`role_${name}`) : name);
    const short = (value) => (value ? String(value).slice(0, 12) : "–");
    const lines = {
      figure: () => [[format.signedMoney(f.pnl), `${instrument.quote} · ${T("pnl")}`], [`${format.time(f.t)} UTC`]],
      fill: () => [[`${T(f.side > 0 ? "buy" : "sell")} ${format.quantity(f.qty, instrument.quantity_decimals)}`], [price(f.price), role(f.role)], [`${format.time(f.ts)} UTC`]],
      order: () => [[`${T(f.side > 0 ? "buy" : "sell")} · ${has(`order_${f.order}`) ? T(`order_${f.order}`) : f.order}`, role(f.role)], [`${format.time(f.ts)} UTC`]],
      decision: () => [[f.action ? T(`act_${f.action}`) : T(f.command ?? "flatten"), Number.isFinite(f.p) ? `${format.percent(f.p * 100, 0)} · ${format.signedMoney(f.ev * session.entry_value)} ${instrument.quote}` : ""], [`${format.time(f.ts)} UTC`]],
      model: () => [[f.name ? T("version", { n: f.version }) : T("no_model"), `${f.strategy ?? ""} ${f.strategy_version ?? ""}`], [f.name ?? ""]],
      run: () => [[short(f.run_id), f.gate ? `${T("col_gate")}: ${T(f.gate === "passed" ? "gate_passed" : "gate_failed")}` : ""]],
      data: () => [[short(f.version), f.instrument ?? ""], [f.trained_on ? T("trained_on", { version: short(f.trained_on) }) : ""]],
      code: () => [[`Pregão ${f.pregao ?? ""}`], [f.trained_with ? T("trained_with", { version: short(f.trained_with) }) : ""]],
    };
    return Object.keys(f).length ? lines[step.what]() : [];
  }
  function lineage(steps, session) {
    return [make("ol", { class: "pg-chain" }, ...steps.map((step) => {
      const decided = step.what === "decision" && step.facts.action ? Pregao.reasons(step.facts) : [];
      return make("li", { "data-what": step.what, title: Object.entries(step.facts).map(([name, value]) => `${name}: ${typeof value === "object" ? JSON.stringify(value) : value}`).join("\n") },
        make("h4", {}, T(`step_${step.what}`), step.seq ? make("small", {}, [step.facts.symbol, T("row_n", { n: step.seq })].filter(Boolean).join(" · ")) : null),
        ...facts(step, session).map(([first, second]) => make("p", {}, make("b", {}, first), second ? ` ${second}` : "")),
        ...decided, step.note ? make("p", { class: "note" }, told(step.note)) : null);
    }))];
  }

  function trades(list, session) {
    if (!list.length) return [make("p", { class: "pg-empty" }, T("no_trades"))];
    const head = [["col_time"], ["col_pnl", 1], ["col_return", 1], ["col_side"], ["col_why"], ["col_qty", 1], ["col_entry", 1], ["col_exit", 1]];
    return [make("div", { class: "pg-inner", tabindex: "0", role: "region", "aria-label": T("trades") }, make("table", { class: "pg-table" }, Pregao.page.header(...head),
      make("tbody", {}, ...list.toReversed().map((trade) => Pregao.tradeRow(trade, session)))))];
  }

  /* ---- champion and challenger: two accounts on the same bars */
  function shadow(duel) {
    if (!duel) return [make("p", { class: "pg-empty" }, T("shadow_none"))];
    const line = (name, values) => make("tr", {}, make("th", { scope: "row" }, name), ...values.map(([text, sign]) => make("td", { class: "n", "data-sign": sign ?? null }, text)));
    const figures = (values, write) => values.map((value) => (Number.isFinite(value) ? [write(value), Math.sign(value)] : ["–"]));
    return [
      make("p", { class: `verdict ${duel.better ? "good" : ""}` }, make("b", {}, T(duel.better ? "shadow_better" : "shadow_open"))),
      make("p", {}, duel.text, duel.advice ? `. ${duel.advice}` : ""),
      make("div", { class: "pg-inner", tabindex: "0", role: "region", "aria-label": T("shadow") }, make("table", { class: "pg-table pg-figures" },
        make("thead", {}, make("tr", {}, make("th", { scope: "col" }, T("shadow_bars", { n: format.number(duel.bars, 0) })),
          ...[["alias_champion", duel.champion], ["alias_challenger", duel.challenger]].map(([key, n]) => make("th", { scope: "col", class: "n" }, `${T(key)} · ${n}`)))),
        make("tbody", {}, line(T("metric_net_return"), figures(duel.returns, (value) => format.signedPercent(value * 100))),
          line(T("metric_sharpe"), figures(duel.sharpes, (value) => format.number(value, 2).replace("-", "\u2212")))))),
      make("p", {}, make("a", { href: `/?session=${encodeURIComponent(duel.shadow)}` }, `${T("open")} ${duel.shadow}`)),
    ];
  }

  const SHOWN = { audit, lineage, trades, shadow };
  const ASKED = { audit: "audit", lineage: "lineage", trades: "trades?limit=500", shadow: "shadow" };

  Pregao.record = (session, name, close) => {
    const body = make("div", { class: "body", role: "status", "aria-busy": "true" }, make("p", { class: "pg-empty" }, T(name === "audit" ? "audit_runs" : "loading")));
    const box = make("section", { class: "pg-record", "data-kind": name, "aria-label": `${T(name)} ${session.id}` },
      make("header", {}, make("h3", {}, `${T(name)} · ${symbols(session)} · ${session.id}`),
        make("button", { type: "button", class: "text", onclick: close }, T("close"))), body);
    const ask = async () => {
      const begun = Date.now();                      // months of bars take a while to live through
      const clock = setInterval(() => {
        const place = body.querySelector(".pg-empty");
        if (!body.isConnected || !place) clearInterval(clock);
        else if (Date.now() - begun > 2000) Pregao.put(place, `${T(name === "audit" ? "audit_runs" : "loading")} ${format.span((Date.now() - begun) / 1000)}`);
      }, 1000);
      try {
        const found = await request(`/api/v1/sessions/${encodeURIComponent(session.id)}/${ASKED[name]}`);
        body.replaceChildren(...SHOWN[name](found, session).filter(Boolean));
      } catch (error) {
        body.replaceChildren(make("p", { class: "bad" }, `${T("failed")}: ${error.status ? error.message : T("lost")}`),
          make("button", { type: "button", class: "small", onclick: ask }, T("retry")));
      }
      clearInterval(clock);
      body.removeAttribute("aria-busy");
    };
    ask();
    return box;
  };
})();
