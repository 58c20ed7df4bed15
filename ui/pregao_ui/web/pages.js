/* The top bar of every page, and the lists of the Sessions and Models pages. */
(() => {
  "use strict";
  if (Pregao.topbar) return;
  const { T, has, format, make, withCode, request, stale, command } = Pregao;
  const ACTIVE = ["created", "running", "paused"];

  Pregao.topbar = (root) => {
    const preferences = window.PregaoPreferences;
    Pregao.translate(root);
    for (const link of root.querySelectorAll("nav a")) {
      if (new URL(link.href).pathname.replace(/\/$/, "") === location.pathname.replace(/\/$/, "")) link.setAttribute("aria-current", "page");
    }
    for (const button of root.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", String(button.dataset.language === Pregao.language));
      button.addEventListener("click", () => preferences.setLanguage(button.dataset.language));
    }
    root.querySelector("[data-do=theme]").addEventListener("click", () => preferences.toggleTheme());
    const banner = root.querySelector("[data-part=banner]");
    let said = "";
    /* what stands below the bar is as high as what is left of the window */
    new ResizeObserver(() => document.documentElement.style.setProperty("--pg-top", `${root.offsetHeight}px`)).observe(root);
    const check = async () => {
      if (document.hidden) return;
      const text = await request("/api/health").then(
        (health) => (health.prefect ? "" : T("servers_banner")),
        (error) => (error.status ? error.message : T("lost")));
      if (text !== said) banner.replaceChildren(...withCode(text));
      said = text;
      banner.hidden = !text;
    };
    check();
    setInterval(check, 15_000);
  };

  const empty = (title, text) => make("div", { class: "pg-blank" }, make("b", {}, title), ...withCode(text));

  const cell = (text, more = {}) => make("td", more, text);
  const header = (...names) => make("thead", {}, make("tr", {}, ...names.map(([key, number]) => make("th", { scope: "col", class: number ? "n" : "" }, T(key)))));

  Pregao.sessionsPage = (root) => {
    let filter = "all";
    let drawn = "";
    let every = null;
    const body = make("div", { class: "pg-scroll" });
    const filters = make("div", { class: "pg-filters", role: "group" }, ...["all", "active", "past"].map((name) =>
      make("button", { type: "button", "data-filter": name, onclick: () => { filter = name; draw(); } }, T(name))));
    root.replaceChildren(make("div", { class: "pg-head" }, make("h2", {}, T("sessions")), filters), body);

    function row(session) {
      const { instrument } = session;
      const link = `/?session=${encodeURIComponent(session.id)}`;
      const act = (kind) => make("button", {
        type: "button", class: "small", "aria-label": `${T(kind === "start" ? "run" : kind)} ${session.id}`,
        onclick: async (event) => {
          if (kind === "stop" && !confirm(T("stop_sure"))) return;
          event.target.disabled = true;
          await command(session.id, kind);
          drawn = "";
          load();
        },
      }, T(kind === "start" ? "run" : kind));
      const alone = stale(session);
      const acts = { created: ["start", "stop"], running: ["pause", "stop"], paused: ["resume", "stop"], failed: ["start"] }[session.status] ?? [];
      if (alone) acts.unshift("start");
      return make("tr", { "data-session": session.id },
        make("td", {}, make("a", { href: link }, session.id)),
        make("td", {}, make("span", { class: "pg-pill", "data-status": session.status, title: session.error || null }, T(`status_${session.status}`)),
          alone ? make("span", { class: "pg-pill", "data-status": "created" }, T("no_runner")) : null),
        make("td", { class: "n", "data-sign": Math.sign(session.pnl) }, `${format.signedMoney(session.pnl)} `, make("small", {}, format.signedPercent(session.pnl_percent))),
        cell(`${format.money(session.equity)} ${instrument.quote}`, { class: "n" }),
        cell(format.number(session.trades, 0), { class: "n" }),
        cell(session.trades ? format.percent(session.wins / session.trades * 100, 0) : "–", { class: "n" }),
        make("td", {}, `${instrument.symbol} ${session.timeframe} `, instrument.synthetic ? make("span", { class: "pg-badge", title: T("synthetic_long") }, T("synthetic")) : null),
        cell(session.strategy + (session.model_version ? ` · ${T("version", { n: session.model_version })}` : "")),
        cell(T(session.mode)),
        cell(format.local(session.created)),
        make("td", {}, make("div", { class: "acts" }, make("a", { class: "small", href: link, "aria-label": `${T("open")} ${session.id}` }, T("open")), ...acts.map(act))));
    }
    function draw() {
      for (const button of filters.children) button.setAttribute("aria-pressed", String(button.dataset.filter === filter));
      if (!every) return;
      const list = every.filter((session) => filter === "all" || ACTIVE.includes(session.status) === (filter === "active"));
      const now = JSON.stringify([filter, list]);
      if (now === drawn) return;
      const focused = document.activeElement?.getAttribute("aria-label");
      drawn = now;
      if (!list.length) { body.replaceChildren(empty(T("no_sessions"), T("no_sessions_do"))); return; }
      body.replaceChildren(make("table", { class: "pg-table" },
        header(["col_session"], ["col_status"], ["pnl", 1], ["col_equity", 1], ["col_trades", 1], ["col_win", 1], ["col_market"], ["col_strategy"], ["col_mode"], ["col_created"], ["col_do"]),
        make("tbody", {}, ...list.map(row))));
      if (focused) body.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
    }
    async function load() {
      try { every = await request("/api/sessions"); draw(); }
      catch (error) { if (!every) body.replaceChildren(empty(T("failed"), error.message)); }
    }
    body.replaceChildren(make("p", { class: "pg-empty" }, T("loading")));
    load();
    setInterval(() => { if (!document.hidden) load(); }, 2000);
  };

  Pregao.modelsPage = (root) => {
    const body = make("div", {});
    const mlflow = make("a", { class: "small", target: "_blank", rel: "noopener noreferrer", hidden: "" }, T("mlflow"));
    root.replaceChildren(make("div", { class: "pg-head" }, make("h2", {}, T("models")), mlflow), make("p", { class: "pg-lead" }, T("gate_explained")), body);

    /* Figures that are fractions are shown in per cent. */
    const FIGURES = ["net_return", "sharpe", "max_drawdown", "trades", "hit_rate", "profit_factor", "auc", "random_p"];
    const FRACTIONS = ["net_return", "max_drawdown", "hit_rate", "costs", "doubled_costs", "drawdown", "skill", "overfitting", "calibration"];
    const figure = (name, value) => (!Number.isFinite(value) ? "–" : FRACTIONS.includes(name) ? format.percent(value * 100)
      : format.number(value, 0, ["auc", "random_p", "random_entries", "deflated_sharpe"].includes(name) ? 3 : 2));
    const verdict = (model) => (model.gate ? (model.gate.passed ? "passed" : "failed") : "unknown");

    function gate(model) {
      const said = verdict(model);
      return make("section", { class: "pg-gate", "data-gate": said },
        make("h4", {}, `${T("col_gate")}: `, make("b", {}, T(`gate_${said}`))),
        make("ul", {}, ...(model.gate?.reasons ?? []).map(({ name, passed, value, limit, text }) =>
          make("li", { class: passed ? "ok" : "no" },
            has(`gate_${name}`) ? T(`gate_${name}`, { value: figure(name, value), limit: figure(name, limit) }) : text || name))));
    }
    const facts = (title, pairs) => make("section", {}, make("h4", {}, title),
      make("dl", {}, ...pairs.flatMap(([name, value, whole]) => [make("dt", {}, name), make("dd", { title: whole }, value)])));
    const short = (name, value) => [T(name), (value || "–").slice(0, 12), value];
    function version(model) {
      const said = verdict(model);
      return make("details", { class: "pg-version", "data-version": model.version, ...(model.aliases.includes("champion") ? { open: "" } : {}) },
        make("summary", {},
          make("b", {}, T("version", { n: model.version })),
          ...model.aliases.map((alias) => make("span", { class: `pg-badge ${alias === "champion" ? "good" : ""}` }, has(`alias_${alias}`) ? T(`alias_${alias}`) : alias)),
          make("span", { class: "pg-pill", "data-status": { passed: "running", failed: "failed" }[said] ?? "" }, `${T("col_gate")}: ${T(`gate_${said}`)}`),
          make("time", {}, format.local(model.created))),
        make("a", { class: "small", target: "_blank", rel: "noopener", href: `/api/models/${encodeURIComponent(model.name)}/${model.version}/report` }, T("model_report")),
        make("div", { class: "pg-columns" },
          gate(model),
          facts(T("out_of_sample"), FIGURES.filter((name) => name in model.metrics).map((name) => [T(`metric_${name}`), figure(name, model.metrics[name])])),
          facts(T("lineage"), [short("col_data", model.data_version), short("made_code", model.code_version), short("made_params", model.params_hash),
            short("made_features", model.feature_hash), short("made_run", model.run_id)])));
    }
    async function load() {
      body.replaceChildren(make("p", { class: "pg-empty" }, T("loading")));
      try {
        const [models, health] = await Promise.all([request("/api/models"), request("/api/health")]);
        if (health.mlflow) { mlflow.href = health.mlflow_address; mlflow.hidden = false; }
        if (!models.length) { body.replaceChildren(empty(T("no_models"), T("no_models_do"))); return; }
        const names = [...new Set(models.map((model) => model.name))];
        body.replaceChildren(...names.map((name) => make("section", { class: "pg-model", "data-model": name },
          make("h3", {}, name), ...models.filter((model) => model.name === name).map(version))));
      } catch (error) {
        body.replaceChildren(empty(T("failed"), error.message), make("button", { type: "button", class: "small", onclick: load }, T("retry")));
      }
    }
    load();
  };
})();
