/* The Sessions page: all sessions, what became of them, and what can be done with them. */
(() => {
  "use strict";
  if (Pregao.sessionsPage) return;
  const { T, format, make, put, request, stale, traded, symbols, command } = Pregao;
  const { empty } = Pregao.page;
  const ACTIVE = ["created", "running", "paused"];
  const MOST = 8;                                    // in one comparison
  const HEAD = [[""], ["col_market"], ["col_status"], ["pnl", 1], ["col_equity", 1], ["col_trades", 1], ["col_win", 1], ["col_strategy"], ["col_mode"], ["col_created"], ["col_do"]];

  Pregao.sessionsPage = (root) => {
    let filter = "all";
    let every = null;
    const chosen = new Set();                        // ids to compare
    const lines = new Map();                         // id -> {row, said, detail}
    const search = make("input", { type: "search", "aria-label": T("search"), placeholder: T("search"), oninput: () => draw() });
    const filters = make("div", { class: "pg-filters", role: "group", "aria-label": T("col_status") }, ...["all", "active", "past"].map((name) =>
      make("button", { type: "button", "data-filter": name, onclick: () => { filter = name; draw(); } }, T(name))));
    const compare = make("button", { type: "button", class: "primary", disabled: "", onclick: () => comparison.show([...chosen]) }, T("compare"));
    const comparison = Pregao.comparison((id) => every?.find((session) => session.id === id));
    const tbody = make("tbody", {});
    const table = make("table", { class: "pg-table pg-sessions" }, Pregao.page.header(...HEAD), tbody);
    const blank = make("div", {}, make("p", { class: "pg-empty" }, T("loading")));
    const problem = make("p", { class: "pg-notice warn", role: "status", hidden: "" });
    const body = make("div", { class: "pg-scroll" }, blank, table);
    table.hidden = true;
    root.replaceChildren(
      make("div", { class: "pg-head" }, make("h2", {}, T("sessions")), filters, search, make("span", { class: "gap" }), compare),
      problem, comparison.node, body);

    const link = (id) => `/?session=${encodeURIComponent(id)}`;
    function actions(session) {
      const act = (kind) => make("button", {
        type: "button", class: kind === "stop" ? "small danger" : "small", "aria-label": `${T(kind === "start" ? "run" : kind)} ${session.id}`,
        onclick: async (event) => {
          if (kind === "stop" && !confirm(T("stop_sure"))) return;
          event.target.disabled = true;
          await command(session.id, kind);
          lines.get(session.id).said = "";
          load();
        },
      }, T(kind === "start" ? "run" : kind));
      const kinds = { created: ["start", "stop"], running: ["pause", "stop"], paused: ["resume", "stop"], failed: ["start"] }[session.status] ?? [];
      if (stale(session)) kinds.unshift("start");
      const api = `/api/v1/sessions/${encodeURIComponent(session.id)}`;
      const record = (name) => make("button", {
        type: "button", class: "text", "data-record": name, "aria-label": `${T(name)} ${session.id}`,
        "aria-expanded": String(lines.get(session.id)?.detail?.dataset.record === name), onclick: () => toggle(session, name),
      }, T(name));
      const file = (form, name) => make("a", { class: "text", href: `${api}/export?form=${form}`, download: "", "aria-label": `${name} ${session.id}` }, name);
      const begun = session.bars > 0;
      return make("td", {}, make("div", { class: "acts" },
        make("a", { class: "small", href: link(session.id), "aria-label": `${T("open")} ${session.id}` }, T("open")), ...kinds.map(act)),
      make("div", { class: "acts record" },
        ...(begun ? [record("audit"), record("lineage"), record("trades"), session.model ? record("shadow") : null,
          make("a", { class: "text", href: `${api}/tearsheet`, target: "_blank", rel: "noopener", "aria-label": `${T("tearsheet")} ${session.id}` }, T("tearsheet")),
          file("csv", "CSV"), file("parquet", "Parquet")] : []),
        make("a", { class: "text", href: `/?session=&clone=${encodeURIComponent(session.id)}`, title: T("clone_long"), "aria-label": `${T("clone")} ${session.id}` }, T("clone"))));
    }
    function badge(session) {                        // orders that leave the house are said plainly
      if (session.money === "simulated") return null;
      const made = make("span", { class: "pg-badge" });
      Pregao.money(made, session);
      return made;
    }
    function fill(row, session) {
      const { instrument } = session;
      const pick = make("input", { type: "checkbox", "aria-label": `${T("compare")} ${session.id}`, onchange: (event) => choose(session.id, event.target) });
      pick.checked = chosen.has(session.id);
      row.replaceChildren(
        make("td", {}, pick),
        make("td", {}, make("a", { href: link(session.id), title: session.also.length ? traded(session).map(({ symbol }) => symbol).join(", ") : null }, `${symbols(session)} · ${session.timeframe}`),
          traded(session).some(({ synthetic }) => synthetic) ? make("span", { class: "pg-badge", title: T("synthetic_long") }, T("synthetic")) : null, badge(session), make("small", {}, session.id)),
        make("td", {}, make("span", { class: "pg-pill", "data-status": session.status, title: session.error ? Pregao.refusal(session.error) : null }, T(`status_${session.status}`)),
          stale(session) ? make("span", { class: "pg-pill", "data-status": "created" }, T("no_runner")) : null,
          make("small", {}, session.live ? T("live_feed") : session.bars_total ? format.percent(session.bars / session.bars_total * 100, 0) : "")),
        make("td", { class: "n", "data-sign": Math.sign(session.pnl) }, format.signedMoney(session.pnl), make("small", {}, format.signedPercent(session.pnl_percent))),
        make("td", { class: "n" }, format.money(session.equity), make("small", {}, instrument.quote)),
        make("td", { class: "n" }, format.number(session.trades, 0)),
        make("td", { class: "n" }, session.trades ? format.percent(session.wins / session.trades * 100, 0) : "–"),
        make("td", {}, session.strategy, session.model_version ? make("small", {}, T("version", { n: session.model_version })) : null),
        make("td", {}, T(session.mode), make("small", {}, session.risk === "none" ? "" : T(`risk_${session.risk}`))),
        make("td", {}, format.local(session.created)),
        actions(session));
    }
    function choose(id, box) {
      if (box.checked && chosen.size >= MOST) { box.checked = false; Pregao.say(T("compare_most", { n: MOST }), true); return; }
      if (box.checked) chosen.add(id); else chosen.delete(id);
      compare.disabled = chosen.size < 2;
      put(compare, chosen.size < 2 ? T("compare") : T("compare_n", { n: chosen.size }));
      if (comparison.shown) comparison.show([...chosen]);
    }

    /* What the record of a session proves opens below it, and stays while the list changes. */
    function toggle(session, name) {
      const line = lines.get(session.id);
      const same = line.detail?.dataset.record === name;
      close(session.id);
      if (!same) {
        line.detail = make("tr", { class: "detail", "data-record": name }, make("td", { colspan: HEAD.length }, Pregao.record(session, name, () => {
          close(session.id);
          line.row.querySelector(`[data-record=${name}]`)?.focus();
        })));
        line.row.after(line.detail);
      }
      for (const button of line.row.querySelectorAll("[data-record]")) button.setAttribute("aria-expanded", String(!same && button.dataset.record === name));
    }
    function close(id) {
      const line = lines.get(id);
      line.detail?.remove();
      line.detail = null;
    }
    /* What is pressed is still there when it is let go: else it was no click. */
    let pressed = null;
    tbody.addEventListener("pointerdown", ({ target }) => { pressed = target.closest("tr"); });
    for (const name of ["pointerup", "pointercancel"]) window.addEventListener(name, () => { pressed = null; });
    tbody.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      const id = event.target.closest("tr.detail")?.previousElementSibling?.dataset.session ?? event.target.closest("tr")?.dataset.session;
      const line = lines.get(id);
      if (!line?.detail) return;
      const name = line.detail.dataset.record;
      close(id);
      const button = line.row.querySelector(`[data-record=${name}]`);
      button?.setAttribute("aria-expanded", "false");
      button?.focus();
    });

    function draw() {
      for (const button of filters.children) button.setAttribute("aria-pressed", String(button.dataset.filter === filter));
      if (!every) return;
      const words = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
      const list = every.filter((session) => (filter === "all" || ACTIVE.includes(session.status) === (filter === "active"))
        && words.every((word) => `${session.id} ${traded(session).map(({ symbol }) => symbol).join(" ")} ${session.timeframe} ${session.strategy} ${T(session.mode)} ${T(`status_${session.status}`)}`.toLowerCase().includes(word)));
      const wanted = new Set(list.map(({ id }) => id));
      for (const [id, line] of lines) if (!wanted.has(id)) { line.row.remove(); line.detail?.remove(); lines.delete(id); }
      let before = null;
      for (const session of list) {
        let line = lines.get(session.id);
        if (!line) lines.set(session.id, line = { row: make("tr", { "data-session": session.id }), said: "", detail: null });
        const said = JSON.stringify([session, stale(session)]);
        if (line.said !== said && line.row !== pressed) {
          const focused = line.row.contains(document.activeElement) ? document.activeElement.getAttribute("aria-label") : null;
          fill(line.row, session);
          line.said = said;
          if (focused) line.row.querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
        }
        const after = before ? before.nextElementSibling : tbody.firstElementChild;
        if (after !== line.row) { if (before) before.after(line.row); else tbody.prepend(line.row); if (line.detail) line.row.after(line.detail); }
        before = line.detail ?? line.row;
      }
      table.hidden = !list.length;
      blank.hidden = Boolean(list.length);
      if (!list.length) blank.replaceChildren(every.length ? make("p", { class: "pg-empty" }, T("none_found")) : empty(T("no_sessions"), T("no_sessions_do")));
    }
    async function load() {
      try {
        every = await request("/api/v1/sessions");
        problem.hidden = true;
        draw();
      } catch (error) {                              // what is shown stays, and is said to be old
        const said = error.status ? error.message : T("lost");
        if (!every) blank.replaceChildren(empty(T("failed"), said));
        else { put(problem, said); problem.hidden = false; }
      }
    }
    draw();
    load();
    setInterval(() => { if (!document.hidden) load(); }, 2000);
  };
})();
