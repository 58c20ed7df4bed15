/* The top bar of every page, and the lists of the Sessions and Models pages. */
(() => {
  "use strict";
  if (Pregao.topbar) return;
  const { T, has, format, make, withCode, request, command } = Pregao;
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
      const health = await request("/api/health").catch(() => null);
      const text = health === null ? T("lost") : health.prefect ? "" : T("servers_banner");
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
      const acts = { created: ["start", "stop"], running: ["pause", "stop"], paused: ["resume", "stop"] }[session.status] ?? [];
      return make("tr", { "data-session": session.id },
        make("td", {}, make("a", { href: link }, session.id)),
        make("td", {}, `${instrument.symbol} ${session.timeframe} `, instrument.synthetic ? make("span", { class: "pg-badge", title: T("synthetic_long") }, T("synthetic")) : null),
        cell(session.strategy + (session.model_version ? ` · ${T("version", { n: session.model_version })}` : "")),
        cell(T(session.mode)),
        make("td", {}, make("span", { class: "pg-pill", "data-status": session.status, title: session.error || null }, T(`status_${session.status}`))),
        cell(`${format.money(session.equity)} ${instrument.quote}`, { class: "n" }),
        make("td", { class: "n", "data-sign": Math.sign(session.pnl) }, `${format.signedMoney(session.pnl)} `, make("small", {}, format.signedPercent(session.pnl_percent))),
        cell(format.number(session.trades, 0), { class: "n" }),
        cell(session.trades ? format.percent(session.wins / session.trades * 100, 0) : "–", { class: "n" }),
        cell(format.local(session.created)),
        make("td", { class: "acts" }, make("a", { class: "small", href: link, "aria-label": `${T("open")} ${session.id}` }, T("open")), ...acts.map(act)));
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
        header(["col_session"], ["col_market"], ["col_strategy"], ["col_mode"], ["col_status"], ["col_equity", 1], ["pnl", 1], ["col_trades", 1], ["col_win", 1], ["col_created"], ["col_do"]),
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

    const FIGURES = ["auc", "net_return", "sharpe", "max_drawdown", "trades", "hit_rate", "profit_factor", "p_value"];
    const figure = (value) => (typeof value === "boolean" ? (value ? "✓" : "✗") : Number.isFinite(value) ? format.number(value, 0, Math.abs(value) >= 100 ? 0 : 4) : String(value ?? "–"));
    function gate(model) {
      const judged = model.gate?.reasons?.length > 0;
      const verdict = !judged ? ["unknown", "gate_unknown"] : model.gate.passed ? ["passed", "gate_passed"] : ["failed", "gate_failed"];
      return make("section", { class: "pg-gate", "data-gate": verdict[0] },
        make("h4", {}, `${T("col_gate")}: `, make("b", {}, T(verdict[1]))),
        make("ul", {}, ...(model.gate?.reasons ?? []).map((reason) => make("li", { class: reason.passed ? "ok" : "no" },
          make("span", {}, reason.text || reason.name),
          make("small", {}, T("reason_value", { value: figure(reason.value), limit: figure(reason.limit) }))))));
    }
    function version(model) {
      const shown = FIGURES.filter((name) => name in model.metrics);
      return make("details", { class: "pg-version", ...(model.aliases.includes("champion") ? { open: "" } : {}) },
        make("summary", {},
          make("b", {}, T("version", { n: model.version })),
          ...model.aliases.map((alias) => make("span", { class: `pg-badge ${alias === "champion" ? "good" : ""}` }, has(`alias_${alias}`) ? T(`alias_${alias}`) : alias)),
          make("span", { class: "pg-pill", "data-status": model.gate?.reasons?.length ? (model.gate.passed ? "running" : "failed") : "" },
            T(model.gate?.reasons?.length ? (model.gate.passed ? "gate_passed" : "gate_failed") : "gate_unknown")),
          make("time", {}, format.local(model.created))),
        make("div", { class: "pg-columns" },
          gate(model),
          make("section", {}, make("h4", {}, T("figures")), make("dl", {}, ...shown.flatMap((name) => [make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, figure(model.metrics[name]))]))),
          make("section", {}, make("h4", {}, T("lineage")), make("dl", {},
            make("dt", {}, T("col_data")), make("dd", { title: model.data_version }, (model.data_version || "–").slice(0, 12)),
            make("dt", {}, "MLflow run"), make("dd", { title: model.run_id }, (model.run_id || "–").slice(0, 12)),
            make("dt", {}, "params"), make("dd", { title: model.params_hash }, (model.params_hash || "–").slice(0, 12)),
            make("dt", {}, "features"), make("dd", { title: model.feature_hash }, (model.feature_hash || "–").slice(0, 12))))));
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
