/* Below the chart, left: the open position and its orders, and the trades that are closed. */
(() => {
  "use strict";
  const parts = window.Pregao.parts ??= {};
  if (parts.trades) return;
  const { T, has, format, put, make, traded, instrumentOf, request } = Pregao;
  const TRADES = 100;
  const role = (name) => (has(`role_${name}`) ? T(`role_${name}`) : name);

  const of = (row, session) => (session.also.length ? make("small", { class: "of" }, row.symbol) : null);
  Pregao.tradeRow = (trade, session) => {
    const instrument = traded(session).find(({ symbol }) => symbol === trade.symbol);
    return make("tr", {},
      make("td", { title: `${format.time(trade.entry)} – ${format.time(trade.exit)} UTC` }, format.moment(trade.exit), of(trade, session)),
      make("td", { class: "n", "data-sign": Math.sign(trade.pnl) }, format.signedMoney(trade.pnl)),
      make("td", { class: "n", "data-sign": Math.sign(trade.pnl) }, format.signedPercent(trade.return_percent)),
      make("td", {}, T(trade.side)),
      make("td", {}, role(trade.role)),
      make("td", { class: "n" }, format.quantity(trade.quantity, instrument.quantity_decimals)),
      make("td", { class: "n" }, format.price(trade.entry_price, instrument.price_decimals)),
      make("td", { class: "n" }, format.price(trade.exit_price, instrument.price_decimals)));
  };

  /* ---- tabs: arrows move between them, as everywhere */
  parts.tabs = function tabs(root) {
    const heads = [...root.querySelectorAll("[role=tab]")];
    const choose = (head, focus) => {
      for (const each of heads) {
        const chosen = each === head;
        each.setAttribute("aria-selected", String(chosen));
        each.tabIndex = chosen ? 0 : -1;
        root.querySelector(`#${each.getAttribute("aria-controls")}`).hidden = !chosen;
      }
      if (focus) head.focus();
    };
    heads.forEach((head, at) => {
      head.addEventListener("click", () => choose(head, false));
      head.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) choose(heads[(at + step + heads.length) % heads.length], true);
      });
    });
    choose(heads[0], false);
    return { choose: (name) => choose(heads.find((head) => head.dataset.tab === name), false) };
  };

  /* ---- the open position, and the orders that wait at the venue */
  parts.position = function position(root) {
    const place = root.querySelector("[data-part=position]");
    const body = place.querySelector("tbody");
    const facts = place.querySelector("dl");
    const empty = place.querySelector(".pg-empty");
    const holdings = parts.holdings(place);
    const orders = new Map();                        // id -> the row with which it was accepted
    const lines = new Map();                         // id -> its row of the table
    let changed = true;
    const cells = {};
    for (const name of ["side", "quantity", "entry", "price", "worth", "open", "exits", "held"]) {
      facts.append(make("div", {}, make("dt", {}, T(`pos_${name}`)), cells[name] = make("dd", {}, "–")));
    }
    function set(name, text, sign) {
      put(cells[name], text);
      if (sign === undefined) delete cells[name].dataset.sign; else cells[name].dataset.sign = Math.sign(sign);
    }
    function order(row, session) {
      const instrument = instrumentOf(session, row);
      const price = row.price ? format.price(row.price, instrument.price_decimals) : T("at_market");
      return make("tr", {},
        make("td", {}, role(row.role), of(row, session)), make("td", {}, T(row.side > 0 ? "buy" : "sell")),
        make("td", { class: "n" }, row.qty ? format.quantity(row.qty, instrument.quantity_decimals) : "–"),
        make("td", { class: "n" }, price), make("td", {}, has(`order_${row.order}`) ? T(`order_${row.order}`) : row.order));
    }
    function drop(id) {                              // its line is made anew, if it still waits
      lines.get(id)?.remove();
      lines.delete(id);
      changed = true;
    }
    function filled(fill) {
      const before = orders.get(fill.id);
      if (before) {
        const left = before.price ? before.qty - fill.qty : 0;       // at the market nothing rests
        if (left > 1e-9) orders.set(fill.id, { ...before, qty: left }); else orders.delete(fill.id);
        drop(fill.id);
      }
      if (fill.pos !== 0) return;
      for (const [id, { b, role: of }] of orders) {  // exits of what is closed
        if (b === fill.b && ["take_profit", "stop_loss"].includes(of)) { orders.delete(id); drop(id); }
      }
    }
    return {
      clear() { holdings.clear(); orders.clear(); lines.clear(); body.replaceChildren(); facts.hidden = true; empty.hidden = false; changed = true; },
      add(row) {
        if (row.k === "order") {
          if (row.state === "accepted" || row.state === "amended") orders.set(row.id, row);
          else if (row.state !== "triggered") orders.delete(row.id);
          drop(row.id);
        } else if (row.k === "fill") filled(row);
      },
      draw({ eq }, session, standing) {
        const [row] = standing;
        const { instrument } = row;
        const several = standing.length > 1;
        if (several) holdings.draw(standing, session);
        const held = several ? 0 : row.pos ?? 0;
        facts.hidden = held === 0;
        if (held !== 0) {
          const price = (value) => format.price(value, instrument.price_decimals);
          const worth = held * row.c;
          set("side", T(held > 0 ? "long" : "short"), held);
          set("quantity", format.quantity(Math.abs(held), instrument.quantity_decimals));
          set("entry", price(row.ent));
          set("price", price(row.c));
          set("worth", `${format.money(Math.abs(worth))} · ${format.percent(Math.abs(worth) / eq * 100, 1)}`);
          set("open", `${format.signedMoney(row.upnl)} · ${format.signedPercent(row.upnl / Math.abs(row.cost) * 100)}`, row.upnl);
          set("exits", [row.tp, row.sl].map((level) => (Number.isFinite(level) ? price(level) : "–")).join(" / "));
          set("held", format.span(row.held * session.seconds));
        }
        if (changed) {
          changed = false;
          for (const [id, order_] of orders) {
            if (lines.has(id)) continue;
            const line = order(order_, session);
            lines.set(id, line);
            body.append(line);
          }
        }
        empty.hidden = orders.size > 0 || standing.some(({ pos }) => pos);
      },
    };
  };

  /* ---- trades: read from the projection, newest first */
  parts.trades = function trades(root) {
    const body = root.querySelector("[data-part=trades] tbody");
    const empty = root.querySelector("[data-part=trades] .pg-empty");
    let asked = 0;
    let timer = null;
    async function load(session) {
      const mine = asked += 1;
      const list = await request(`/api/sessions/${encodeURIComponent(session.id)}/trades?limit=${TRADES}`).catch(() => null);
      if (!list || mine !== asked) return;
      const key = (trade) => `${trade.entry}:${trade.exit}:${trade.symbol}`;
      const have = new Set([...body.children].map((node) => node.dataset.key));
      for (const trade of list) {                    // oldest first; only what is new is added
        if (have.has(key(trade))) continue;
        const node = Pregao.tradeRow(trade, session);
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
})();
