/* The live view of the Trade page: follows the chosen session and hands what comes to its parts. */
(() => {
  "use strict";
  if (Pregao.live) return;
  const { T, put, request, selection, parts } = Pregao;

  Pregao.live = async (root) => {
    Pregao.translate(root);
    try {                                            // the chart measures its labels once: the font must be there
      await Promise.race([document.fonts.load("11px 'IBM Plex Sans'"), new Promise((done) => setTimeout(done, 1500))]);
    } catch { /* the system's font then */ }
    const chart = Pregao.chart(root);
    const bar = parts.bar(root);
    const cards = parts.cards(root);
    const trades = parts.trades(root);
    const decisions = parts.decisions(root);
    const position = parts.position(root);
    parts.tabs(root);
    const proposal = parts.proposal(root);

    let shown = null;                                // what is followed: {id, session, row, state, pending}
    let frame = 0;
    const draw = () => {
      frame = 0;
      const { session, row, state, pending } = shown ?? {};
      if (!session) return;
      cards.draw(row, session);
      cards.feed(session, state);
      position.draw(row, session);
      decisions.flush(session);
      proposal(session);
      if (!pending) chart.flush();
      root.dataset.seq = row?.s ?? 0;
      root.dataset.at = row?.ts ?? 0;
    };
    const soon = () => { frame ||= requestAnimationFrame(draw); };   // at most one change of the page a frame

    function settle(fill) {                          // what the round trip made, fees of both sides paid
      const trip = shown.trip ??= { fees: 0, pnl: 0 };
      trip.fees += fill.fee;
      trip.pnl += fill.pnl;
      fill.net = trip.pnl - trip.fees;
      if (fill.pos === 0) shown.trip = null;
    }

    function take(rows) {
      for (const row of rows) {
        if (row.k === "fill") settle(row);
        if (row.k === "bar") { cards.bar(row, shown.session); shown.row = row; }
        if (row.k === "intent") row.held = Boolean(shown.row?.pos);
        decisions.add(row);
        position.add(row);
        if (!shown.pending) { if (row.k === "warmed") chart.warm(shown.session); else chart.add(row); }
        if (row.k === "fill" && row.role !== "entry") trades.soon(shown.session);
      }
      soon();
    }

    async function begin(mine) {                     // the session and its history are there: draw them once
      const history = mine.pending;
      mine.begun = true;
      root.classList.remove("loading");
      mine.pending = [];
      take(history);
      trades.load(mine.session);
      if (!await chart.begin(mine.session, history)) return;
      const meanwhile = mine.pending;
      mine.pending = null;
      take(meanwhile);
    }

    function follow(id) {
      shown?.end?.();
      for (const part of [cards, trades, decisions, position]) part.clear();
      proposal(null);
      bar.show(null);
      bar.list();
      root.classList.toggle("without", !id);
      root.querySelector("[data-part=blank]").hidden = true;
      root.classList.remove("loading");
      if (!id) { shown = null; preview(); return; }

      chart.clear(null);
      root.classList.add("loading");                 // "no trade yet" would not be known to be true
      put(root.querySelector("[data-bind=title]"), "");
      put(root.querySelector("[data-chart=note]"), T("loading"));
      parts.notice(root, null);
      const mine = shown = { id, session: null, row: null, state: "connecting", pending: [], begun: false };
      const ready = () => { if (!mine.begun && mine.session && mine.state === "live") begin(mine); };
      mine.end = Pregao.follow(id, {
        session(session) {
          if (shown !== mine) return;
          if (mine.session?.status !== session.status) bar.list();
          mine.session = session;
          bar.show(session);
          parts.notice(root, session);
          put(root.querySelector("[data-bind=title]"), `${session.instrument.symbol} · ${session.timeframe}`);
          ready();
          soon();
        },
        rows(rows) {
          if (shown !== mine) return;
          if (mine.pending) mine.pending.push(...rows); else take(rows);
        },
        state(state) { if (shown === mine) { mine.state = state; ready(); soon(); } },
      });
      request(`/api/sessions/${encodeURIComponent(id)}`).catch((error) => {   // a link to a session that is gone
        if (shown !== mine || error.status !== 404) return;
        selection.select(null);
        Pregao.say(error.message, true);
      });
    }

    async function newest() {                        // a first visit shows what is running
      const every = await request("/api/sessions").catch(() => []);
      return every.find((session) => ["running", "paused"].includes(session.status))?.id ?? "";
    }

    let market = null;                               // the ticket's {instrument, timeframe}
    let blank = false;                               // there is no market data at all
    let followed = false;                            // the ticket's market is a live one
    function preview() {
      root.querySelector("[data-part=blank]").hidden = !blank;
      put(root.querySelector("[data-bind=title]"), market ? `${market.instrument.symbol} · ${market.timeframe}` : "");
      root.querySelector("[data-part=synthetic]").hidden = !market?.instrument.synthetic;
      parts.notice(root, null, market ? T("empty") : followed ? T("empty_live") : "");
      if (market) chart.preview(market.instrument, market.timeframe); else chart.clear(null);
    }
    Pregao.market = (next, empty, live) => {         // called by the ticket
      if (JSON.stringify([next, empty, live]) === JSON.stringify([market, blank, followed])) return;
      [market, blank, followed] = [next, empty, live];
      if (!selection.id) preview();
    };

    const first = selection.remembered() ?? await newest();
    selection.select(first);
    selection.watch(follow);
    setInterval(() => {                              // time passes even when nothing comes
      if (!shown?.session) return;
      cards.feed(shown.session, shown.state);
      parts.notice(root, shown.session);
      bar.show(shown.session);
    }, 2000);
    setInterval(() => { if (!document.hidden) bar.list(); }, 5000);
  };
})();
