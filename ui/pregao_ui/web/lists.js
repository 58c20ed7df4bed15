/* Below the chart: the trades, the decisions, and a proposal that waits for the person. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.trades) return;
  const { T, has, format, put, make, request, command } = Pregao;
  const FEED_LENGTH = 80;
  const TRADES = 100;

  /* ---- trades: read from the projection, newest first */
  parts.trades = function trades(root) {
    const body = root.querySelector("[data-part=trades] tbody");
    const empty = root.querySelector("[data-part=trades] .pg-empty");
    let asked = 0;
    let timer = null;
    const row = (trade, instrument) => make("tr", {},
      make("td", {}, format.time(trade.exit)),
      make("td", { class: "n", "data-sign": Math.sign(trade.pnl) }, format.signedMoney(trade.pnl)),
      make("td", { class: "n", "data-sign": Math.sign(trade.pnl) }, format.signedPercent(trade.return_percent)),
      make("td", {}, T(trade.side)),
      make("td", {}, has(`role_${trade.role}`) ? T(`role_${trade.role}`) : trade.role),
      make("td", { class: "n" }, format.quantity(trade.quantity, instrument.quantity_decimals)),
      make("td", { class: "n" }, format.price(trade.entry_price, instrument.price_decimals)),
      make("td", { class: "n" }, format.price(trade.exit_price, instrument.price_decimals)));
    async function load(session) {
      const mine = asked += 1;
      const list = await request(`/api/sessions/${encodeURIComponent(session.id)}/trades?limit=${TRADES}`).catch(() => null);
      if (!list || mine !== asked) return;
      const key = (trade) => `${trade.entry}:${trade.exit}`;
      const have = new Set([...body.children].map((node) => node.dataset.key));
      for (const trade of list) {                    // oldest first; only what is new is added
        if (have.has(key(trade))) continue;
        const node = row(trade, session.instrument);
        node.dataset.key = key(trade);
        body.prepend(node);
      }
      while (body.children.length > TRADES) body.lastChild.remove();
      empty.hidden = body.children.length > 0;
    }
    return {
      clear() { asked += 1; clearTimeout(timer); timer = null; body.replaceChildren(); empty.hidden = false; },
      load,
      soon(session) { timer ??= setTimeout(() => { timer = null; load(session); }, 250); },
    };
  };

  /* ---- decisions: what the AI thought of each bar, and what came of it */
  parts.decisions = function decisions(root) {
    const list = root.querySelector("[data-part=decisions] ol");
    const empty = root.querySelector("[data-part=decisions] .pg-empty");
    let queue = [];

    const head = (row, tone, words) => [make("time", {}, format.time(row.ts)), make("b", { class: `tag ${tone}` }, words)];
    function intent(row, session) {
      const tone = { enter: "enter", exit: "exit" }[row.action] ?? "wait";
      const node = make("li", { class: tone }, ...head(row, tone, T(tone === "wait" && row.held ? "act_hold" : `act_${row.action}`)));
      if (Number.isFinite(row.p)) {
        node.append(make("span", { class: "odds", title: T("probability") },
          make("meter", { min: 0, max: 1, value: row.p, "aria-label": T("probability") }), format.percent(row.p * 100, 0)));
      }
      if (Number.isFinite(row.ev)) {
        const money = row.ev * session.entry_value;
        node.append(make("span", { class: "ev", "data-sign": Math.sign(money) }, T("expects", { amount: format.signedMoney(money) })));
      }
      if (tone === "wait" && Number.isFinite(row.p)) node.title = row.reason;   // the figures say it
      else if (row.reason) node.append(make("span", { class: "why" }, row.reason));
      if (row.top?.length) {
        node.append(make("span", { class: "top" }, ...row.top.slice(0, 3).map(([name, weight]) =>
          make("i", { "data-sign": Math.sign(weight) }, `${name} ${format.signedMoney(weight)}`))));
      }
      return node;
    }
    function event(row, session) {
      const { instrument } = session;
      let words = T(`ev_${row.k}`);
      if (row.k === "fill") {
        const price = format.price(row.price, instrument.price_decimals);
        words = row.role !== "entry" ? T("ev_fill_exit", { price, why: has(`role_${row.role}`) ? T(`role_${row.role}`) : row.role })
          : T(row.side > 0 ? "ev_fill_entry" : "ev_fill_short", { price });
      } else if (row.k === "error") words = `${words}: ${row.error}`;
      else if (row.k === "command") words = `${has(row.command) ? T(row.command) : row.command}: ${row.outcome}`;
      else if (row.k === "proposal") words = T(`ev_${row.state}`);
      const node = make("li", { class: "event" }, make("time", {}, format.time(row.ts)), make("span", {}, words));
      if (row.k === "fill" && row.role !== "entry") node.append(make("b", { "data-sign": Math.sign(row.net) }, format.signedMoney(row.net)));
      return node;
    }
    const waiting = (row) => row.k === "intent" && row.action === "note";
    function quieted(rows) {                         // of each stretch of waiting the last row, with how many there were
      const kept = [];
      for (const row of rows) {
        const before = kept[kept.length - 1];
        if (waiting(row) && before && waiting(before)) kept[kept.length - 1] = { ...row, waits: before.waits + 1 };
        else kept.push(waiting(row) ? { ...row, waits: 1 } : row);
      }
      return kept;
    }
    const EVENTS = ["intent", "fill", "started", "resumed", "paused", "stopped", "finished", "error"];
    const told = (row) => (EVENTS.includes(row.k) && row.action !== "wait")   // what it waits for shows itself when it comes
      || (row.k === "command" && row.outcome !== "done")           // what was done shows itself
      || (row.k === "proposal" && row.state !== "open");
    return {
      clear() { queue = []; list.replaceChildren(); empty.hidden = false; },
      add(row) { if (told(row)) queue.push(row); },
      flush(session) {
        for (const row of quieted(queue).slice(-FEED_LENGTH)) {
          const node = row.k === "intent" ? intent(row, session) : event(row, session);
          if (row.waits) {                           // one line for a stretch of waiting, the latest
            const before = list.firstElementChild?.dataset.waits;
            const waits = row.waits + (before ? Number(before) : 0);
            if (before) list.firstElementChild.remove();
            node.dataset.waits = waits;
            if (waits > 1) node.append(make("small", {}, T("waits", { n: format.number(waits, 0) })));
          }
          list.prepend(node);
        }
        queue = [];
        while (list.children.length > FEED_LENGTH) list.lastChild.remove();
        empty.hidden = list.children.length > 0;
      },
    };
  };

  /* ---- a proposal that waits for the person */
  parts.proposal = function proposal(root) {
    const box = root.querySelector("[data-part=proposal]");
    return (session) => {
      const open = session?.proposal ?? null;
      const shown = box.dataset.id ?? "";
      if (!open) { box.hidden = true; delete box.dataset.id; box.replaceChildren(); return; }
      if (shown === String(open.id)) { put(box.querySelector("[data-part=left]"), T(open.bars === 1 ? "proposal_left_1" : "proposal_left", { n: open.bars })); return; }
      const { instrument } = session;
      const side = T(open.side).toLowerCase();
      const answer = (kind) => async () => {
        for (const button of box.querySelectorAll("button")) button.disabled = true;
        if (!await command(session.id, kind, { proposal: open.id })) for (const button of box.querySelectorAll("button")) button.disabled = false;
      };
      const odds = Number.isFinite(open.p)
        ? T("proposal_odds", { p: format.percent(open.p * 100, 0), amount: Number.isFinite(open.ev) ? `${format.signedMoney(open.ev * session.entry_value)} ${instrument.quote}` : "–" })
        : open.reason;
      box.dataset.id = open.id;
      box.replaceChildren(
        make("div", {},
          make("b", {}, `${T("proposal", { side, symbol: instrument.symbol })} ${T("proposal_size", { amount: `${format.money(session.entry_value)} ${instrument.quote}` })}`),
          make("span", {}, odds), make("span", { "data-part": "left" }, T(open.bars === 1 ? "proposal_left_1" : "proposal_left", { n: open.bars }))),
        make("button", { type: "button", class: "good", onclick: answer("approve") }, T("accept")),
        make("button", { type: "button", class: "plain", onclick: answer("reject") }, T("refuse")));
      box.hidden = false;
    };
  };
})();
