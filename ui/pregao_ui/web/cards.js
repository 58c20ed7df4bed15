/* The figures above the chart: from the newest bar where it says so, else from the session's projection. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.cards) return;
  const { T, format, put, bind, stale } = Pregao;
  const DAY = 86_400;
  const ENDED = ["stopped", "finished", "failed"];

  parts.cards = function cards(root) {
    let today = null;                                // {day, base}: the equity at the market's last midnight
    let before = null;                               // the bar before
    function alone({ pos, c, upnl, instrument }, equity) {
      const held = pos ?? 0;
      bind(root, "position", held === 0 ? T("flat") : `${held > 0 ? T("long") : T("short")} ${format.quantity(Math.abs(held), instrument.quantity_decimals)}`,
        held === 0 ? undefined : held);
      bind(root, "open", held === 0 ? T("no_position") : opened(upnl, Math.abs(held * c), equity), held === 0 ? undefined : upnl);
    }
    function together(standing, equity) {            // several instruments in one account
      const open = standing.filter(({ pos }) => pos);
      const sum = (of) => open.reduce((total, each) => total + of(each), 0);
      const result = sum(({ upnl }) => upnl);
      bind(root, "position", open.length ? T("open_n", { n: open.length }) : T("flat"));
      bind(root, "open", open.length ? opened(result, sum(({ pos, c }) => Math.abs(pos * c)), equity) : T("no_position"), open.length ? result : undefined);
    }
    const opened = (result, worth, equity) => `${T("unrealised", { amount: format.signedMoney(result) })} · ${T("exposure", { percent: format.percent(worth / equity * 100, 0) })}`;
    return {
      clear() {
        today = before = null;
        for (const node of root.querySelectorAll(".pg-cards [data-bind]")) { put(node, "–"); delete node.dataset.sign; }
        for (const node of root.querySelectorAll(".pg-cards small[data-bind]")) put(node, "");
      },
      bar(row, session) {
        const day = Math.floor(row.t / DAY);
        if (!today || today.day !== day) today = { day, base: before ? before.eq : session.cash };
        before = row;
      },
      draw({ eq: equity, pnl, fees }, row, session, standing) {
        const unit = session.instrument.quote;
        const several = standing.length > 1;
        bind(root, "equity", format.money(equity));
        bind(root, "unit", unit);
        bind(root, "cash", T("started_with", { cash: format.money(session.cash) }));
        bind(root, "pnl", format.signedMoney(pnl), pnl);
        bind(root, "pnl-percent", format.signedPercent(pnl / session.cash * 100), pnl);
        if (today && row) bind(root, "today", T("today", { amount: format.signedMoney(equity - today.base) }), equity - today.base);
        if (several) together(standing, equity); else alone(standing[0], equity);
        const { trades, wins } = session;
        bind(root, "win-rate", trades ? format.percent(wins / trades * 100, 0) : "–");
        bind(root, "trades", trades === 0 ? T("trades_0") : trades === 1 ? T("trades_1") : T("trades_n", { n: format.number(trades, 0) }));
        bind(root, "fees", format.money(fees));
        bind(root, "fees-percent", T("fees_of", { percent: format.percent(fees / session.cash * 100) }));
        const versions = several ? [...new Set(session.books.map((book) => book.model_version).filter(Boolean))].join(", ") : session.model_version;
        bind(root, "model", versions ? T("version", { n: versions }) : T("no_model"));
        bind(root, "model-name", (several ? null : session.model?.split(".").slice(-2).join(" ")) ?? session.strategy);
        if (row) bind(root, "market-time", `${format.time(row.t)} UTC`);
      },
      feed(session, state) {
        const ended = ENDED.includes(session.status);
        const shown = ended ? "ended" : stale(session) ? "reconnecting" : session.status === "paused" ? "paused" : state;
        for (const node of root.querySelectorAll("[data-bind=feed]")) {
          put(node, shown === "paused" || (session.status === "created" && state === "live") ? T(`status_${session.status}`) : T(shown));
          node.dataset.state = session.status === "created" ? "connecting" : shown;
        }
        bind(root, "speed", session.live ? T("live_feed").toLowerCase() : session.speed > 0 ? T("feed_replay", { speed: T("speed_short", { n: format.number(session.speed, 0, 2) }) }) : T("feed_max"));
      },
    };
  };
})();
