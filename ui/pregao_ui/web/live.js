/* The live view of the Trade page: follows the chosen session and hands what comes to its parts. */
(() => {
  "use strict";
  if (Pregao.live) return;
  const { T, put, request, traded, selection, parts } = Pregao;

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

    const books = parts.books(root, look);

    /* What is followed: {id, session, row, state, pending}; `lasts` is the newest bar of each of its instruments, `book`
     * the place of the one on the chart, `seq` the last row that was taken. */
    let shown = null;
    let frame = 0;
    const draw = () => {
      frame = 0;
      const { session, row, state } = shown ?? {};
      if (!session) return;
      const account = newer(row) ? { eq: session.equity, pnl: session.pnl, fees: session.fees } : row;
      const standing = traded(session).map((instrument, n) => ({ ...standingAt(n), instrument }));
      cards.draw(account, row, session, standing);
      cards.feed(session, state);
      position.draw(account, session, standing);
      books.draw(standing);
      chart.levels(standing[shown.book]);
      decisions.flush(session);
      proposal(session);
      chart.flush();
      root.dataset.seq = row?.s ?? 0;
      root.dataset.at = row?.ts ?? 0;
    };
    /* An exchange fills between two bars, and so does a person who closes: where the session is newer than its last bar,
     * it tells what is held. */
    const newer = (bar) => shown.session.last_seq >= (bar?.s ?? 0);
    const standingAt = (n) => (newer(shown.lasts[n]) ? shown.session.books[n] : undefined) ?? shown.lasts[n];
    const soon = () => { frame ||= requestAnimationFrame(draw); };   // at most one change of the page a frame

    function settle(fill) {                          // what the round trip made, fees of both sides paid
      const trip = shown.trips[fill.b ?? 0] ??= { fees: 0, pnl: 0 };
      trip.fees += fill.fee;
      trip.pnl += fill.pnl;
      fill.net = trip.pnl - trip.fees;
      if (fill.pos === 0) delete shown.trips[fill.b ?? 0];
    }

    /* Of bars that closed together only the first tells of the account: it holds for the others, too. */
    function settled(bar) {
      if (bar.eq === undefined && shown.row) for (const name of ["eq", "pnl", "dd", "cash", "fees", "peak"]) bar[name] = shown.row[name];
      shown.lasts[bar.b ?? 0] = bar;
      if (bar.eq === undefined) return;
      cards.bar(bar, shown.session);
      shown.row = bar;
    }
    const heard = (mine) => Pregao.streams.get(mine.id).rows.filter((row) => row.s <= mine.seq && (row.b ?? 0) === mine.book);

    function take(rows) {
      for (const row of rows) {
        if (row.k === "fill") settle(row);
        if (row.k === "bar") settled(row);
        if (row.k === "intent") row.held = Boolean(shown.lasts[row.b ?? 0]?.pos);
        decisions.add(row);
        position.add(row);
        if (row.k === "warmed") chart.warm(shown.session, traded(shown.session)[shown.book]);
        else if ((row.b ?? 0) === shown.book) chart.add(row);
        if (row.k === "fill" && row.role !== "entry") trades.soon(shown.session);
        shown.seq = row.s;
      }
      soon();
    }

    function begin(mine) {                           // the session and its history are there: draw them once
      const history = mine.pending;
      mine.pending = null;
      root.classList.remove("loading");
      mine.book = books.begin(mine.session);
      take(history);
      trades.load(mine.session);
      look(mine.book);
    }

    function look(book) {                            // the chart shows one of the session's instruments
      const mine = shown;
      mine.book = book;
      const instrument = traded(mine.session)[book];
      put(root.querySelector("[data-bind=title]"), `${instrument.symbol} · ${mine.session.timeframe}`);
      chart.begin(mine.session, instrument, () => heard(mine)).then(soon);
    }

    function follow(id) {
      shown?.end?.();
      for (const part of [cards, trades, decisions, position, books]) part.clear();
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
      const mine = shown = { id, session: null, row: null, state: "connecting", pending: [], lasts: [], trips: [], book: 0, seq: 0 };
      const ready = () => { if (mine.pending && mine.session && mine.state === "live") begin(mine); };
      mine.end = Pregao.follow(id, {
        session(session) {
          if (shown !== mine) return;
          if (mine.session?.status !== session.status) bar.list();
          mine.session = session;
          bar.show(session);
          parts.notice(root, session);
          put(root.querySelector("[data-bind=title]"), `${traded(session)[mine.book].symbol} · ${session.timeframe}`);
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
