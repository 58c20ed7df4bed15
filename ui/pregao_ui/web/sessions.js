/* The Sessions page: all sessions, what became of them, and what can be done with them. */
(() => {
  "use strict";
  if (Pregao.sessionsPage) return;
  const { T, format, make, request, stale, command } = Pregao;
  const { empty, cell, header } = Pregao.page;
  const ACTIVE = ["created", "running", "paused"];

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
})();
